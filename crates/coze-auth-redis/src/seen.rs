//! What this process has seen in the store, by which it notices a store that went back: restored, emptied, or taken over by a
//! replica that did not have all.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::scripts::Stored;

/// Maximum number of grants that are remembered. Those that were not used for the longest time make room.
const MOST: usize = 10_000;

#[derive(Default)]
pub(crate) struct Seen {
    all: HashMap<String, Known>,
    /// The ids in the order of their last use.
    used: BTreeMap<u64, String>,
    uses: u64,
}

/// The highest revision of a grant, with its value as it is stored.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) revision: u64,
    pub(crate) fence: u64,
    /// None if somebody has logged out.
    pub(crate) value: Option<Zeroizing<String>>,
    /// When its key ends by itself, by the steady clock.
    pub(crate) ends: Duration,
    used: u64,
}

impl Seen {
    /// What is known of this grant, unless its key may have ended by itself.
    pub(crate) fn get(&self, id: &str, now: Duration) -> Option<&Known> {
        self.all.get(id).filter(|known| now < known.ends)
    }

    /// The highest fence that was seen.
    pub(crate) fn fence(&self, id: &str) -> u64 {
        self.all.get(id).map_or(0, |known| known.fence)
    }

    /// Notes what is stored now. A lower revision than the known one changes nothing.
    pub(crate) fn note(&mut self, id: &str, stored: &Stored, fence: u64, ends: Duration) {
        self.uses += 1;
        let used = self.uses;
        let known = self.all.entry(id.to_owned()).or_insert_with(|| Known {
            revision: 0,
            fence: 0,
            value: None,
            ends,
            used,
        });
        self.used.remove(&known.used);
        known.used = used;
        known.fence = known.fence.max(fence);
        if stored.revision >= known.revision {
            known.revision = stored.revision;
            known.value = stored.value.clone().map(Zeroizing::new);
            known.ends = ends;
        }
        self.used.insert(used, id.to_owned());
        if self.all.len() > MOST
            && let Some((_, oldest)) = self.used.pop_first()
        {
            self.all.remove(&oldest);
        }
    }

    /// Drops what is known: it was not worth remembering, or it is over.
    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(known) = self.all.remove(id) {
            self.used.remove(&known.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(revision: u64) -> Stored {
        Stored {
            revision,
            value: Some(revision.to_string()),
        }
    }

    const LATER: Duration = Duration::from_secs(100);

    #[test]
    fn a_lower_revision_changes_nothing() {
        let mut seen = Seen::default();
        seen.note("a", &stored(5), 9, LATER);
        seen.note("a", &stored(3), 4, LATER);
        let known = seen.get("a", Duration::ZERO).unwrap();
        assert_eq!((known.revision, known.fence), (5, 9));
        assert_eq!(known.value.as_deref().unwrap(), "5");
        assert!(
            seen.get("a", LATER).is_none(),
            "its key has ended by itself"
        );
        assert_eq!(seen.fence("a"), 9);
        seen.remove("a");
        assert_eq!(seen.fence("a"), 0);
        assert!(seen.used.is_empty());
    }

    #[test]
    fn the_memory_is_bounded_and_the_oldest_makes_room() {
        let mut seen = Seen::default();
        for number in 0..=MOST {
            seen.note(&number.to_string(), &stored(1), 1, LATER);
            seen.note("0", &stored(1), 1, LATER);
        }
        assert_eq!(seen.all.len(), MOST);
        assert_eq!(seen.used.len(), MOST);
        assert!(
            seen.get("0", Duration::ZERO).is_some(),
            "used again and again"
        );
        assert!(seen.get("1", Duration::ZERO).is_none());
        assert!(seen.get("2", Duration::ZERO).is_some());
    }
}
