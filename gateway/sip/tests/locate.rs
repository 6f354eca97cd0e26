//! Locating servers: the choice of RFC 2782, the search of RFC 3263 and its bounds.

#![expect(clippy::unwrap_used, reason = "tests: a failed assumption is a failed test")]

use std::{collections::BTreeMap, net::IpAddr};

use proptest::prelude::*;
use sip::{
    Transport,
    Transport::{Tcp, Tls, Udp},
    locate::{
        Answer, Candidate, Messaging, NAPTR_MAX, Naptr, NotFound, Query, Question, Search, Service,
        TARGETS_MAX, choose_services, messaging_query,
    },
};

fn question(host: &str, port: Option<u16>, transport: Transport, choice: &[Transport]) -> Question {
    Question {
        host: host.to_owned(),
        port,
        transport,
        choice: choice.to_vec(),
    }
}

fn service(priority: u16, weight: u16, port: u16, target: &str) -> Service {
    Service {
        priority,
        weight,
        port,
        target: target.to_owned(),
    }
}

fn naptr(order: u16, preference: u16, services: &str, replacement: &str) -> Naptr {
    Naptr {
        order,
        preference,
        flags: "s".to_owned(),
        services: services.to_owned(),
        regexp: String::new(),
        replacement: replacement.to_owned(),
    }
}

fn addresses(texts: &[&str]) -> Answer {
    Answer::Addresses(texts.iter().map(|text| text.parse().unwrap()).collect())
}

/// Answers by name; what is not in it is absent.
#[derive(Default)]
struct Zone(BTreeMap<Query, Answer>);

impl Zone {
    fn naptr(mut self, name: &str, records: Vec<Naptr>) -> Self {
        self.0
            .insert(Query::Naptr(name.to_owned()), Answer::Naptr(records));
        self
    }
    fn services(mut self, name: &str, records: Vec<Service>) -> Self {
        self.0
            .insert(Query::Services(name.to_owned()), Answer::Services(records));
        self
    }
    fn host(mut self, name: &str, texts: &[&str]) -> Self {
        self.0.insert(Query::Addresses(name.to_owned()), addresses(texts));
        self
    }
    fn failing(mut self, query: Query) -> Self {
        self.0.insert(query, Answer::Failed);
        self
    }
    /// Runs a search; what it asked, and its outcome.
    fn search(&self, question: Question) -> (Vec<Query>, Result<Vec<Candidate>, NotFound>) {
        let mut search = Search::new(question, [7; 32]);
        let mut asked = Vec::new();
        while let Some((id, query)) = search.poll_query() {
            let answer = self.0.get(&query).cloned().unwrap_or(Answer::Absent);
            asked.push(query);
            search.handle_answer(id, answer);
        }
        (asked, search.outcome().unwrap().clone())
    }
}

fn found(outcome: &Result<Vec<Candidate>, NotFound>) -> Vec<(Transport, String)> {
    let candidates = outcome.as_ref().unwrap().iter();
    candidates
        .map(|candidate| (candidate.transport, candidate.address.to_string()))
        .collect()
}

fn expected(list: &[(Transport, &str)]) -> Vec<(Transport, String)> {
    list.iter()
        .map(|(transport, address)| (*transport, (*address).to_owned()))
        .collect()
}

/// The zone that RFC 3263 §4.1 and §4.2 walk through.
fn example() -> Zone {
    Zone::default()
        .naptr(
            "example.com.",
            vec![
                naptr(100, 50, "SIP+D2U", "_sip._udp.example.com."),
                naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com."),
                naptr(90, 50, "SIP+D2T", "_sip._tcp.example.com."),
            ],
        )
        .services(
            "_sip._tcp.example.com.",
            vec![
                service(1, 1, 5060, "server2.example.com."),
                service(0, 1, 5060, "server1.example.com."),
            ],
        )
        .services(
            "_sip._udp.example.com.",
            vec![service(0, 1, 5060, "server1.example.com.")],
        )
        .services(
            "_sips._tcp.example.com.",
            vec![service(0, 1, 5061, "server3.example.com.")],
        )
        .host("server1.example.com.", &["192.0.2.1"])
        .host("server2.example.com.", &["192.0.2.2", "2001:db8::2"])
        .host("server3.example.com.", &["192.0.2.3"])
        .host("example.com.", &["192.0.2.9"])
}

// Rows: CSIP-08
#[test]
fn naptr_decides_the_transport_by_order_and_leaves_out_what_we_do_not_speak() {
    let (asked, outcome) = example().search(question("Example.com", None, Udp, &[Udp, Tcp]));
    assert_eq!(asked.first(), Some(&Query::Naptr("example.com.".to_owned())));
    assert_eq!(
        found(&outcome),
        expected(&[
            (Tcp, "192.0.2.1:5060"),
            (Tcp, "192.0.2.2:5060"),
            (Tcp, "[2001:db8::2]:5060"),
            (Udp, "192.0.2.1:5060"),
        ])
    );
    let (_, with_tls) = example().search(question("example.com", None, Udp, &[Udp, Tcp, Tls]));
    assert_eq!(
        found(&with_tls).first(),
        Some(&(Tls, "192.0.2.3:5061".to_owned()))
    );
}

#[test]
fn equal_orders_go_by_preference() {
    let zone = example().naptr(
        "example.com.",
        vec![
            naptr(10, 20, "SIP+D2T", "_sip._tcp.example.com."),
            naptr(10, 10, "sip+d2u", "_sip._udp.example.com."),
        ],
    );
    let (_, outcome) = zone.search(question("example.com", None, Tcp, &[Tcp, Udp]));
    assert_eq!(found(&outcome).first(), Some(&(Udp, "192.0.2.1:5060".to_owned())));
}

#[test]
fn naptr_records_that_do_not_end_in_srv_are_passed_over() {
    for spoilt in [
        Naptr {
            flags: "u".to_owned(),
            ..naptr(1, 1, "SIP+D2U", "_sip._udp.evil.example.")
        },
        Naptr {
            regexp: "!^.*$!sip:x@y!".to_owned(),
            ..naptr(1, 1, "SIP+D2U", "_sip._udp.evil.example.")
        },
        naptr(1, 1, "SIP+D2U", "."),
        naptr(1, 1, "E2U+sip", "_sip._udp.evil.example."),
    ] {
        let zone = example().naptr("example.com.", vec![spoilt]);
        let (asked, outcome) = zone.search(question("example.com", None, Udp, &[Udp]));
        assert!(!asked.contains(&Query::Services("_sip._udp.evil.example.".to_owned())));
        assert_eq!(found(&outcome), expected(&[(Udp, "192.0.2.1:5060")]));
    }
}

// Rows: CSIP-08
#[test]
fn without_naptr_the_services_of_each_transport_are_asked_for_in_our_order() {
    let mut zone = example();
    zone.0.remove(&Query::Naptr("example.com.".to_owned()));
    let (asked, outcome) = zone.search(question("example.com", None, Tcp, &[Tcp, Udp]));
    assert_eq!(
        asked.get(1..3).unwrap(),
        ["_sip._tcp.example.com.", "_sip._udp.example.com."].map(|name| Query::Services(name.to_owned()))
    );
    assert_eq!(found(&outcome).len(), 4);
    // A name server that knows no NAPTR may know SRV.
    let zone = zone.failing(Query::Naptr("example.com.".to_owned()));
    let (_, same) = zone.search(question("example.com", None, Tcp, &[Tcp, Udp]));
    assert_eq!(same, outcome);
}

#[test]
fn a_named_transport_skips_naptr_and_a_port_skips_srv_too() {
    let (asked, outcome) = example().search(question("example.com", None, Tcp, &[]));
    assert!(asked.iter().all(|query| !matches!(query, Query::Naptr(_))));
    assert!(found(&outcome).iter().all(|(transport, _)| *transport == Tcp));
    let (asked, outcome) = example().search(question("example.com", Some(5071), Udp, &[]));
    assert_eq!(asked, [Query::Addresses("example.com.".to_owned())]);
    assert_eq!(found(&outcome), expected(&[(Udp, "192.0.2.9:5071")]));
}

#[test]
fn a_numeric_host_is_never_asked_for_and_has_the_port_of_its_transport() {
    for (host, port, transport, address) in [
        ("192.0.2.7", None, Udp, "192.0.2.7:5060"),
        ("192.0.2.7", Some(5080), Tcp, "192.0.2.7:5080"),
        ("2001:db8::7", None, Tls, "[2001:db8::7]:5061"),
    ] {
        let (asked, outcome) = example().search(question(host, port, transport, &[Udp, Tcp]));
        assert!(asked.is_empty());
        assert_eq!(found(&outcome), expected(&[(transport, address)]));
    }
}

// Rows: CSIP-08
#[test]
fn without_any_service_the_host_itself_is_the_server() {
    let zone = Zone::default().host("example.com.", &["192.0.2.9"]);
    for (choice, transport, address) in [
        (&[Udp, Tcp][..], Udp, "192.0.2.9:5060"),
        (&[], Tls, "192.0.2.9:5061"),
    ] {
        let (_, outcome) = zone.search(question("example.com", None, transport, choice));
        assert_eq!(found(&outcome), expected(&[(transport, address)]));
    }
}

#[test]
fn a_target_of_the_root_means_that_the_service_is_not_offered() {
    let zone = Zone::default()
        .services("_sip._udp.example.com.", vec![service(0, 0, 0, ".")])
        .host("example.com.", &["192.0.2.9"]);
    let (_, outcome) = zone.search(question("example.com", None, Udp, &[]));
    assert_eq!(outcome, Err(NotFound::NotOffered));
    let zone = zone
        .services(
            "_sip._tcp.example.com.",
            vec![service(0, 0, 5060, "a.example.com.")],
        )
        .host("a.example.com.", &["192.0.2.1"]);
    let (_, outcome) = zone.search(question("example.com", None, Udp, &[Udp, Tcp]));
    assert_eq!(found(&outcome), expected(&[(Tcp, "192.0.2.1:5060")]));
}

#[test]
fn a_failure_is_told_from_an_absence() {
    let nowhere = Zone::default();
    let (_, outcome) = nowhere.search(question("example.com", None, Udp, &[Udp]));
    assert_eq!(outcome, Err(NotFound::Host));
    // An unanswered SRV question must not send the request to the host itself.
    let zone = Zone::default()
        .failing(Query::Services("_sip._udp.example.com.".to_owned()))
        .host("example.com.", &["192.0.2.9"]);
    let (_, outcome) = zone.search(question("example.com", None, Udp, &[]));
    assert_eq!(outcome, Err(NotFound::NoAnswer));
    let zone = Zone::default().failing(Query::Addresses("example.com.".to_owned()));
    let (_, outcome) = zone.search(question("example.com", Some(5060), Udp, &[]));
    assert_eq!(outcome, Err(NotFound::NoAnswer));
}

#[test]
fn what_is_no_host_name_is_not_asked_for() {
    let long = format!("{}.example", "a".repeat(64));
    let longer = vec!["a"; 127].join(".") + ".b";
    for host in [
        "",
        ".",
        "a..b",
        "a b",
        "ä.example",
        "a/b",
        long.as_str(),
        longer.as_str(),
    ] {
        let (asked, outcome) = example().search(question(host, None, Udp, &[Udp]));
        assert!(asked.is_empty(), "{host}");
        assert_eq!(outcome, Err(NotFound::Host), "{host}");
    }
}

#[test]
fn given_up_a_search_gives_what_it_knows() {
    let mut search = Search::new(question("example.com", None, Tcp, &[]), [7; 32]);
    let (id, _) = search.poll_query().unwrap();
    search.handle_answer(
        id,
        Answer::Services(vec![
            service(1, 0, 5060, "a.example.com."),
            service(2, 0, 5060, "b.example.com."),
        ]),
    );
    let (_slow, _) = search.poll_query().unwrap();
    let (second, _) = search.poll_query().unwrap();
    search.handle_answer(second, addresses(&["192.0.2.2"]));
    assert_eq!(search.outcome(), None);
    search.give_up();
    assert_eq!(
        found(search.outcome().unwrap()),
        expected(&[(Tcp, "192.0.2.2:5060")])
    );
    let mut search = Search::new(question("example.com", None, Udp, &[Udp]), [7; 32]);
    search.give_up();
    assert_eq!(search.outcome(), Some(&Err(NotFound::NoAnswer)));
    assert_eq!(search.poll_query(), None);
}

#[test]
fn a_hostile_zone_makes_us_ask_no_more_than_the_limits() {
    let names: Vec<String> = (0..200)
        .map(|number| format!("_sip._udp.n{number}.example."))
        .collect();
    let mut zone = Zone::default().naptr(
        "example.com.",
        names.iter().map(|name| naptr(1, 1, "SIP+D2U", name)).collect(),
    );
    for (number, name) in names.iter().enumerate() {
        let targets = (0..200).map(|target| service(1, 1, 1, &format!("t{target}.n{number}.example.")));
        zone = zone.services(name, targets.collect());
    }
    let (asked, outcome) = zone.search(question("example.com", None, Udp, &[Udp]));
    let count = |is: fn(&Query) -> bool| asked.iter().filter(|query| is(query)).count();
    assert_eq!(count(|query| matches!(query, Query::Services(_))), NAPTR_MAX);
    assert_eq!(count(|query| matches!(query, Query::Addresses(_))), TARGETS_MAX);
    assert_eq!(outcome, Err(NotFound::Host));
    // One host with more addresses than are tried.
    let many: Vec<IpAddr> = (0..=255).map(|last| IpAddr::from([192, 0, 2, last])).collect();
    let mut zone = Zone::default();
    zone.0.insert(
        Query::Addresses("example.com.".to_owned()),
        Answer::Addresses(many),
    );
    let (_, outcome) = zone.search(question("example.com", Some(5060), Udp, &[]));
    assert_eq!(outcome.unwrap().len(), TARGETS_MAX);
}

#[test]
fn one_host_with_two_services_is_asked_for_once() {
    let (asked, _) = example().search(question("example.com", None, Udp, &[Udp, Tcp]));
    let server1 = Query::Addresses("server1.example.com.".to_owned());
    assert_eq!(asked.iter().filter(|query| **query == server1).count(), 1);
}

#[test]
fn weights_share_the_load_within_one_priority() {
    let records = vec![
        service(1, 10, 1, "a."),
        service(1, 30, 2, "b."),
        service(1, 0, 3, "c."),
        service(0, 0, 4, "first."),
    ];
    // Every draw of the first choice among priority 1: 0 is c, 1 to 10 is a, 11 to 40 is b.
    for (drawn, port) in [(0, 3), (1, 1), (10, 1), (11, 2), (40, 2)] {
        let mut draws = [0, drawn].into_iter();
        let chosen = choose_services(records.clone(), |limit| draws.next().unwrap_or(0).min(limit));
        assert_eq!(chosen.first().unwrap().port, 4);
        assert_eq!(chosen.get(1).unwrap().port, port, "{drawn}");
        assert_eq!(chosen.len(), 4);
    }
}

#[test]
fn messaging_services_are_srv_questions_of_rfc_3861() {
    for (service, protocol, domain, name) in [
        (
            Messaging::InstantMessages,
            "sip",
            "Example.com",
            Some("_im._sip.example.com."),
        ),
        (
            Messaging::Presence,
            "xmpp",
            "example.com.",
            Some("_pres._xmpp.example.com."),
        ),
        (Messaging::Presence, "s.p", "example.com", None),
        (Messaging::Presence, "", "example.com", None),
        (Messaging::InstantMessages, "sip", "not a name", None),
    ] {
        let expected = name.map(|name| Query::Services(name.to_owned()));
        assert_eq!(messaging_query(service, protocol, domain), expected);
    }
}

proptest! {
    #[test]
    fn the_choice_keeps_priorities_in_order_and_every_record_once(
        records in prop::collection::vec((0u16..4, any::<u16>()), 0..16),
        draws in prop::collection::vec(any::<u32>(), 16),
    ) {
        let records: Vec<Service> = (0u16..)
            .zip(records)
            .map(|(port, (priority, weight))| service(priority, weight, port, "a."))
            .collect();
        let mut draws = draws.into_iter();
        let chosen = choose_services(records.clone(), |limit| draws.next().unwrap() % (limit + 1));
        prop_assert!(chosen.is_sorted_by_key(|service| service.priority));
        let mut ports: Vec<u16> = chosen.iter().map(|service| service.port).collect();
        ports.sort_unstable();
        prop_assert_eq!(ports, (0u16..).take(records.len()).collect::<Vec<_>>());
    }

    #[test]
    fn any_answers_in_any_order_end_the_search_within_its_limits(
        answers in prop::collection::vec((any::<prop::sample::Index>(), 0usize..6), 64),
        seed in any::<[u8; 32]>(),
    ) {
        let mut search = Search::new(question("example.com", None, Udp, &[Udp, Tcp, Tls]), seed);
        let (mut open, mut asked) = (Vec::new(), 0);
        for (which, answer) in answers {
            while let Some((id, _)) = search.poll_query() {
                asked += 1;
                open.push(id);
            }
            if open.is_empty() {
                break;
            }
            let id = open.swap_remove(which.index(open.len()));
            let target = format!("t{asked}.example.");
            search.handle_answer(id, match answer {
                0 => Answer::Naptr(vec![naptr(1, 1, "SIP+D2T", &target)]),
                1 | 2 => Answer::Services(vec![service(1, 1, 1, &target), service(1, 2, 3, "b.")]),
                3 => addresses(&["192.0.2.1", "2001:db8::1"]),
                4 => Answer::Absent,
                _ => Answer::Failed,
            });
        }
        prop_assert!(search.outcome().is_some());
        prop_assert!(asked <= 1 + NAPTR_MAX + TARGETS_MAX);
    }
}
