//! What became of REFERs whose senders ask for it by a SUBSCRIBE of their own (RFC 7614 §4).

use std::{collections::BTreeMap, time::Instant};

use super::{
    Endpoint,
    command::{Body, Contact, SubscriptionId, SubscriptionState},
    compose,
    dialog::DialogKey,
    event::{Event, SubscriptionEnd},
    refer::{PROGRESS, trying},
    route::local_address,
    timers::Timer,
};
use crate::message::Uri;

/// Referrals kept; beyond it a REFER of this kind is told 503 with Retry-After.
pub(super) const REFERRALS_MAX: usize = 1000;

/// The referrals, by the subscription that their owner knows them by and by the address that tells of them.
#[derive(Debug, Default)]
pub(super) struct Referrals {
    table: BTreeMap<SubscriptionId, Referral>,
    by_user: BTreeMap<String, SubscriptionId>,
}

#[derive(Debug)]
struct Referral {
    /// The user part of its address, which nobody can guess (RFC 7614 §8).
    user: String,
    /// How far it has come.
    progress: Body,
    is_over: bool,
}

impl Referrals {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn contains(&self, id: SubscriptionId) -> bool {
        self.table.contains_key(&id)
    }

    /// The referral that an address tells of.
    pub(super) fn at(&self, uri: &Uri) -> Option<SubscriptionId> {
        self.by_user.get(uri.user()?).copied()
    }
}

impl Endpoint {
    /// Keeps track of a referral from now on; gives the value of Refer-Events-At.
    pub(super) fn open_referral(&mut self, id: SubscriptionId, dialog: DialogKey, now: Instant) -> String {
        let user = self.tokens.call_id();
        let contact = Contact {
            user: Some(user.clone()),
            parameters: Vec::new(),
        };
        let transport = self.dialogs.get(dialog).map(|dialog| dialog.flow().transport);
        let local = transport.map(|transport| local_address(&self.config, transport));
        self.referrals.by_user.insert(user.clone(), id);
        let referral = Referral {
            user,
            progress: trying(),
            is_over: false,
        };
        if let Some(former) = self.referrals.table.insert(id, referral) {
            self.referrals.by_user.remove(&former.user);
        }
        self.timers.set(Timer::Referral(id), Some(now + PROGRESS));
        local.map_or_else(String::new, |local| compose::contact(&contact, &local))
    }

    /// The owner tells how far a referral has come. Its outcome is kept for those who ask later (RFC 7614 §4.7).
    pub(super) fn referral_progress(
        &mut self,
        id: SubscriptionId,
        state: &SubscriptionState,
        body: Option<Body>,
        now: Instant,
    ) {
        let Some(referral) = self.referrals.table.get_mut(&id).filter(|one| !one.is_over) else {
            return;
        };
        if let Some(body) = body {
            referral.progress = body;
        }
        if matches!(state, SubscriptionState::Terminated(_)) {
            referral.is_over = true;
            let kept = self.timing.patience().saturating_mul(2);
            self.timers.set(Timer::Referral(id), Some(now + kept));
        }
        for notifier in self.notifiers_of_referral(id) {
            self.tell_of_referral(notifier, now);
        }
    }

    /// Tells a subscriber how far the referral has come.
    pub(super) fn tell_of_referral(&mut self, notifier: SubscriptionId, now: Instant) {
        let told = self
            .notifiers
            .get(&notifier)
            .and_then(|notifier| notifier.referral);
        let Some(referral) = told.and_then(|id| self.referrals.table.get(&id)) else {
            return;
        };
        let state = match referral.is_over {
            true => SubscriptionState::Terminated("noresource".to_owned()),
            false => SubscriptionState::Active,
        };
        let body = Some(referral.progress.clone());
        self.notify(notifier, state, body, now);
    }

    /// The owner has told no outcome in time, or the outcome has been kept long enough.
    pub(super) fn handle_referral_timeout(&mut self, id: SubscriptionId, now: Instant) {
        let Some(referral) = self.referrals.table.get(&id) else {
            return;
        };
        if !referral.is_over {
            self.events.push_back(Event::SubscriptionEnded {
                subscription: id,
                cause: SubscriptionEnd::Expired,
            });
            let over = SubscriptionState::Terminated("timeout".to_owned());
            self.referral_progress(id, &over, None, now);
        } else if let Some(referral) = self.referrals.table.remove(&id) {
            self.referrals.by_user.remove(&referral.user);
        }
    }

    fn notifiers_of_referral(&self, id: SubscriptionId) -> Vec<SubscriptionId> {
        let of_it = self.notifiers.iter();
        of_it
            .filter(|(_, notifier)| notifier.referral == Some(id))
            .map(|(notifier, _)| *notifier)
            .collect()
    }
}
