//! Long texts of many records in one place. Among other memory each would leave a gap of its own size, which is neither given back nor
//! fits what comes next; a place that is mapped for itself is given back when the last of its records goes.

use bytes::Bytes;
use memmap2::MmapMut;

use super::record::Record;

/// Moves the long texts of the records into a place of their own. If there is none, they stay where they are.
pub(super) fn pack(mut records: Vec<&mut Record>) {
    let texts = || records.iter().flat_map(|record| record.long_texts());
    let Ok(mut place) = MmapMut::map_anon(texts().map(Bytes::len).sum()) else {
        return;
    };
    let mut free = &mut place[..];
    for text in texts() {
        let (here, behind) = free.split_at_mut(text.len());
        here.copy_from_slice(text);
        free = behind;
    }
    let mut place = Bytes::from_owner(place);
    for text in records
        .iter_mut()
        .flat_map(|record| record.long_texts_mut())
    {
        *text = place.split_to(text.len());
    }
}
