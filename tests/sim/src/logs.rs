//! Watches what the product logs: no error, and no word of a message (invariant 11).

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Collects what must not be logged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    bad: Arc<Mutex<Vec<String>>>,
}

impl Watch {
    pub(crate) fn take(&self) -> Vec<String> {
        self.bad
            .lock()
            .map(|mut bad| std::mem::take(&mut *bad))
            .unwrap_or_default()
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _infallible = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Watch {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let error = *event.metadata().level() == Level::ERROR;
        if (error || text.0.contains('\u{27e8}') || text.0.contains("27e8"))
            && let Ok(mut bad) = self.bad.lock()
        {
            bad.push(format!("{}:{}", event.metadata().level(), text.0));
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
