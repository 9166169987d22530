//! Pages of the journal, pure: each names its generation, so a file can be reused without being cleared first.
//!
//! A page that an earlier generation left reads as zeros, whatever it contains: replay never meets an old record.

use super::wire::{u32_at, u64_at};

/// The unit of the page cache and of every card's controller: dirtied and written as a whole.
pub(super) const PAGE: usize = 4096;

/// mark · number of the page (u32) · generation (u64) · crc32 of these.
const HEADER: usize = 20;
const CRC_AT: usize = 16;

/// Bytes of content on a page.
pub(super) const BODY: usize = PAGE - HEADER;

/// First bytes of a page; a generation from before there were pages begins with a record's format 1.
const MARK: [u8; 4] = *b"\x02dxp";

/// Appends the pages of `content` from page `first` on; zeros fill the last one.
pub(super) fn put(out: &mut Vec<u8>, generation: u64, first: u32, content: &[u8]) {
    for (page, body) in (first..).zip(content.chunks(BODY)) {
        let start = out.len();
        out.extend(MARK);
        out.extend(page.to_le_bytes());
        out.extend(generation.to_le_bytes());
        let crc = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend(crc.to_le_bytes());
        out.extend_from_slice(body);
        out.resize(start + PAGE, 0);
    }
}

/// The generation that wrote a page, if its header is right.
fn writer(page: &[u8], at: usize) -> Option<u64> {
    let header = page.get(..CRC_AT)?;
    let right = page.starts_with(&MARK)
        && u32_at(page, CRC_AT)? == crc32fast::hash(header)
        && u32::try_from(at) == Ok(u32_at(page, 4)?);
    right.then(|| u64_at(page, 8)).flatten()
}

fn is_clear(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |all, byte| all | byte) == 0
}

/// Whether all pages, which stand in a file from page `first` on, are clear or of earlier generations: what a later one
/// writes over them cannot be mistaken.
pub(super) fn are_before(bytes: &[u8], first: usize, generation: u64) -> bool {
    let mut pages = (first..).zip(bytes.chunks(PAGE));
    pages.all(|(at, page)| is_clear(page) || writer(page, at).is_some_and(|writer| writer < generation))
}

/// What a generation wrote.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// Content of one page: writes end, and begin after a sync, at multiples of it.
    pub(super) page: usize,
    /// A page is neither clear nor of this or an earlier generation.
    pub(super) stained: bool,
}

/// The content of a file. A file from before there were pages is all content.
pub(super) fn content(file: Vec<u8>, generation: u64) -> Content {
    if !file.chunks(PAGE).enumerate().any(|(at, page)| writer(page, at).is_some()) {
        return Content { bytes: file, page: PAGE, stained: false };
    }
    let mut content = Content { bytes: Vec::with_capacity(file.len()), page: BODY, stained: false };
    for (at, page) in file.chunks(PAGE).enumerate() {
        let ours = match writer(page, at) {
            Some(writer) if writer < generation => false,
            Some(writer) if writer == generation => true,
            None if is_clear(page) => false,
            // records have checksums of their own: one wrong bit here must not cost a page of them
            _ => {
                content.stained = true;
                true
            }
        };
        let body = page.get(HEADER..).filter(|_| ours).unwrap_or_default();
        content.bytes.extend_from_slice(body);
        content.bytes.resize((at + 1) * BODY, 0);
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GENERATION: u64 = 7;

    fn contents() -> impl Strategy<Value = Vec<u8>> {
        let bytes = |(length, seed): (usize, u8)| (0..length).map(|n| (n as u8).wrapping_mul(31) ^ seed | 1).collect();
        (0..4 * BODY, any::<u8>()).prop_map(bytes)
    }

    /// A file of some pages in which generations wrote one after the other, each from the front.
    fn used(writers: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let mut file = vec![0; 6 * PAGE];
        for (generation, content) in writers {
            let mut pages = Vec::new();
            put(&mut pages, *generation, 0, content);
            file[..pages.len()].copy_from_slice(&pages);
        }
        file
    }

    proptest! {
        #[test]
        fn only_what_the_generation_itself_wrote_is_read(older in contents(), old in contents(), new in contents()) {
            prop_assume!(!new.is_empty());
            let file = used(&[(2, older), (5, old), (GENERATION, new.clone())]);
            let read = content(file, GENERATION);
            prop_assert_eq!((read.page, read.stained, read.bytes.len()), (BODY, false, 6 * BODY));
            prop_assert_eq!(&read.bytes[..new.len()], &new[..]);
            prop_assert!(is_clear(&read.bytes[new.len()..]));
        }

        #[test]
        fn nothing_is_read_of_a_file_that_was_only_taken(older in contents(), old in contents()) {
            let file = used(&[(2, older), (5, old)]);
            prop_assert!(are_before(&file, 0, GENERATION));
            let read = content(file, GENERATION);
            prop_assert!(!read.stained && is_clear(&read.bytes));
        }

        #[test]
        fn a_wrong_bit_in_a_header_is_noticed_and_takes_nothing_away(
            old in contents(), new in contents(), page in any::<prop::sample::Index>(), bit in 0..HEADER * 8,
        ) {
            prop_assume!(new.len() > BODY);
            let mut file = used(&[(5, old), (GENERATION, new.clone())]);
            let page = page.index(new.len().div_ceil(BODY));
            file[page * PAGE + bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!are_before(&file, 0, GENERATION + 1));
            let read = content(file, GENERATION);
            prop_assert!(read.stained);
            prop_assert_eq!(&read.bytes[..new.len()], &new[..]);
        }

        #[test]
        fn a_later_generations_page_is_not_taken_for_an_earlier_ones(new in contents(), late in contents()) {
            prop_assume!(!late.is_empty());
            let file = used(&[(GENERATION, new), (GENERATION + 1, late)]);
            prop_assert!(!are_before(&file, 0, GENERATION));
            prop_assert!(content(file, GENERATION).stained);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..2 * PAGE), whole: bool) {
            let mut file = if whole { used(&[(GENERATION, vec![1; BODY])]) } else { Vec::new() };
            file.extend(bytes);
            let _ = content(file, GENERATION); // not panicking is the point
        }
    }
}
