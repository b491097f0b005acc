//! `torch.save` since PyTorch 1.6: a zip archive with `data.pkl`, the pickle, and a member
//! `data/KEY` for each storage, all within one folder.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;

use zip::{CompressionMethod, ZipArchive};

use super::file::Stored;
use super::pickle::Pickle;
use super::state;

/// The first bytes of a zip archive.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";

/// The tensors of an archive.
pub(super) fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, Stored>, String> {
    let archive = ZipArchive::new(Cursor::new(bytes));
    let mut archive = Archive {
        len: bytes.len(),
        zip: archive.map_err(|error| format!("the archive cannot be read ({error})"))?,
    };
    let pickles = archive.zip.file_names().flatten();
    let folder = pickles
        .filter_map(|name| Some(name.strip_suffix("data.pkl")?.to_owned()))
        .min_by_key(String::len)
        .ok_or("is an archive without a data.pkl, so torch.save did not write it")?;
    if let Ok(order) = archive.member(&format!("{folder}byteorder"))
        && &bytes[order] != b"little"
    {
        return Err("was saved by a big-endian machine; save it on another".into());
    }
    let program = &bytes[archive.member(&format!("{folder}data.pkl"))?];
    let pickle = Pickle::load(program, 0)?;
    let mut places = BTreeMap::new();
    state::tensors(&pickle, |storage| {
        let key = pickle.text(&storage.key);
        // A thousand tensors may share a storage.
        let place: &Range<usize> = match places.entry(key) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(archive.member(&format!("{folder}data/{key}"))?)
            }
        };
        let needed = storage.count.checked_mul(storage.dtype.size());
        match needed.filter(|&needed| needed <= place.len()) {
            Some(needed) => Ok(place.start..place.start + needed),
            None => Err(format!(
                "its storage {key} has {} bytes where {} values of {} are claimed",
                place.len(),
                storage.count,
                storage.dtype
            )),
        }
    })
}

struct Archive<'a> {
    len: usize,
    zip: ZipArchive<Cursor<&'a [u8]>>,
}

impl Archive<'_> {
    /// Where the bytes of a member lie.
    fn member(&mut self, name: &str) -> Result<Range<usize>, String> {
        let member = self.zip.by_name(name);
        let member =
            member.map_err(|error| format!("its member {name} cannot be read ({error})"))?;
        if member.compression() != CompressionMethod::Stored || member.encrypted() {
            return Err(format!(
                "its member {name} is compressed, which torch.save does not do; unpack it, and \
                 pack it again without compression"
            ));
        }
        let start = member
            .data_start()
            .and_then(|start| usize::try_from(start).ok());
        let size = usize::try_from(member.size()).ok();
        let range = start
            .zip(size)
            .and_then(|(start, size)| Some(start..start.checked_add(size)?));
        range
            .filter(|range| range.end <= self.len)
            .ok_or_else(|| format!("its member {name} reaches beyond the file"))
    }
}
