//! How often an Event may be sent: at most one per object, reason and message in ten minutes (gitops G81). Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::ObjectEvent;
use crate::id::ObjectKey;

const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// The API server drops Events after an hour, so older ones are begun anew.
const LIFETIME: SignedDuration = SignedDuration::from_mins(55);
/// Beyond this many series the oldest are forgotten: the memory is bounded, an Event too many does no harm.
const MAX_SERIES: usize = 4096;

/// What to do with one Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A new Event object of this name.
    Create { name: String },
    /// The Event of this name again: its counter is now this.
    Again { name: String, count: u32 },
    /// Counted, not sent.
    Suppress,
}

/// Memory of what was sent.
#[derive(Clone, Debug, Default)]
pub struct EventRate {
    series: BTreeMap<(ObjectKey, String, String), Series>,
    serial: u64,
}

#[derive(Clone, Debug)]
struct Series {
    name: String,
    begun: Timestamp,
    sent: Timestamp,
    count: u32,
}

impl EventRate {
    /// Decides on one Event and remembers it as sent.
    pub fn admit(&mut self, event: &ObjectEvent, now: Timestamp) -> Verdict {
        let key = key(event);
        if let Some(series) = self.series.get_mut(&key) {
            series.count = series.count.saturating_add(1);
            if now.duration_since(series.sent) < WINDOW {
                return Verdict::Suppress;
            }
            if now.duration_since(series.begun) < LIFETIME {
                series.sent = now;
                return Verdict::Again {
                    name: series.name.clone(),
                    count: series.count,
                };
            }
        }
        self.make_room(now);
        self.serial += 1;
        // Unique over restarts as well: nanoseconds, as client-go names its Events.
        let name = format!(
            "{}.{:x}.{:x}",
            event.object.name,
            now.as_nanosecond(),
            self.serial
        );
        self.series.insert(
            key,
            Series {
                name: name.clone(),
                begun: now,
                sent: now,
                count: 1,
            },
        );
        Verdict::Create { name }
    }

    /// It was not delivered after all: the next one is sent at once.
    pub fn forget(&mut self, event: &ObjectEvent) {
        self.series.remove(&key(event));
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.series.len() < MAX_SERIES {
            return;
        }
        self.series
            .retain(|_, series| now.duration_since(series.begun) < LIFETIME);
        while self.series.len() >= MAX_SERIES {
            let oldest = self
                .series
                .iter()
                .min_by_key(|(_, series)| series.sent)
                .map(|(key, _)| key.clone());
            match oldest {
                Some(key) => self.series.remove(&key),
                None => return,
            };
        }
    }
}

fn key(event: &ObjectEvent) -> (ObjectKey, String, String) {
    (
        event.object.key(),
        event.reason.clone(),
        event.message.clone(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ObjectRef;

    fn event(reason: &str, message: &str) -> ObjectEvent {
        ObjectEvent {
            object: ObjectRef {
                api_version: "networking.k8s.io/v1".to_owned(),
                kind: "Ingress".to_owned(),
                namespace: Some("default".to_owned()),
                name: "app".to_owned(),
            },
            uid: None,
            kind: "Normal".to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    #[test]
    fn the_same_event_is_sent_once_in_ten_minutes_and_counted() {
        let mut rate = EventRate::default();
        let Verdict::Create { name } = rate.admit(&event("Held", "a"), at(0)) else {
            panic!("not created")
        };
        assert_eq!(rate.admit(&event("Held", "a"), at(5)), Verdict::Suppress);
        assert_eq!(rate.admit(&event("Held", "a"), at(9)), Verdict::Suppress);
        let again = Verdict::Again { name, count: 4 };
        assert_eq!(rate.admit(&event("Held", "a"), at(10)), again);
        assert_eq!(rate.admit(&event("Held", "a"), at(11)), Verdict::Suppress);
    }

    #[test]
    fn another_reason_or_message_is_another_event() {
        let mut rate = EventRate::default();
        for (reason, message) in [("Held", "a"), ("Held", "b"), ("Rejected", "a")] {
            let verdict = rate.admit(&event(reason, message), at(0));
            assert!(matches!(verdict, Verdict::Create { .. }), "{verdict:?}");
        }
    }

    #[test]
    fn an_event_that_the_server_has_dropped_is_begun_anew() {
        let mut rate = EventRate::default();
        let first = rate.admit(&event("Held", "a"), at(0));
        let second = rate.admit(&event("Held", "a"), at(61));
        assert!(matches!(second, Verdict::Create { .. }), "{second:?}");
        assert_ne!(first, second);
    }

    #[test]
    fn an_undelivered_event_is_not_suppressed() {
        let mut rate = EventRate::default();
        rate.admit(&event("Held", "a"), at(0));
        rate.forget(&event("Held", "a"));
        let verdict = rate.admit(&event("Held", "a"), at(0));
        assert!(matches!(verdict, Verdict::Create { .. }), "{verdict:?}");
    }

    #[test]
    fn memory_is_bounded() {
        let mut rate = EventRate::default();
        for index in 0..MAX_SERIES + 10 {
            rate.admit(&event("Held", &index.to_string()), at(0));
        }
        assert!(rate.series.len() <= MAX_SERIES);
    }
}
