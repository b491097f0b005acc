//! Reading untrusted bytes: never more than there are, whatever a header claims.

use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// The largest expansion of deflate: bytes out for one byte in.
const DEFLATE_RATIO: usize = 1032;

/// Bytes to parse: a reader, and an upper bound on what it can return.
pub(crate) struct Source<'a> {
    path: &'a Path,
    reader: Box<dyn Read + 'a>,
    capacity: usize,
}

impl<'a> Source<'a> {
    /// Uncompressed bytes.
    pub fn plain(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self {
            path,
            reader: Box::new(bytes),
            capacity: bytes.len(),
        }
    }

    /// What `reader` inflates from `packed` bytes of a deflate stream.
    pub fn deflated(path: &'a Path, reader: impl Read + 'a, packed: usize) -> Self {
        let capacity = packed.saturating_mul(DEFLATE_RATIO);
        Self {
            path,
            reader: Box::new(reader),
            capacity,
        }
    }

    /// The next `N` bytes of the header.
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader
            .read_exact(&mut bytes)
            .map_err(|e| self.damaged(&e))?;
        self.capacity = self.capacity.saturating_sub(N);
        Ok(bytes)
    }

    /// The next `n` bytes, for an `n` that is small by its type.
    pub fn take_vec(&mut self, n: u16) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::from(n)];
        self.reader
            .read_exact(&mut bytes)
            .map_err(|e| self.damaged(&e))?;
        self.capacity = self.capacity.saturating_sub(bytes.len());
        Ok(bytes)
    }

    /// All that follows the header, which must be `claimed` bytes (`None`: a number beyond
    /// `usize`). Memory grows with the bytes that arrive, not with the claim.
    pub fn rest(mut self, claimed: Option<usize>) -> Result<Vec<u8>> {
        let Some(claimed) = claimed.filter(|&n| n <= self.capacity) else {
            let reason = "the file is shorter than its header claims; fetch or write it again";
            return Err(Error::content(self.path, reason));
        };
        let mut bytes = Vec::new();
        // One byte more than claimed reveals trailing data, and lets gzip verify its checksum at
        // the end.
        let most = (claimed as u64).saturating_add(1);
        (&mut self.reader)
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(|e| self.damaged(&e))?;
        if bytes.len() == claimed {
            return Ok(bytes);
        }
        let reason = if bytes.len() < claimed {
            format!(
                "the header claims {claimed} bytes of values, but only {} follow; fetch or write \
                 the file again",
                bytes.len()
            )
        } else {
            format!(
                "more bytes follow than the {claimed} that the header claims; the file is damaged, \
                 fetch or write it again"
            )
        };
        Err(Error::content(self.path, reason))
    }

    fn damaged(&self, error: &std::io::Error) -> Error {
        let reason = match error.kind() {
            ErrorKind::UnexpectedEof => "the file is cut short; fetch or write it again".into(),
            _ => format!("the file is damaged ({error}); fetch or write it again"),
        };
        Error::content(self.path, reason)
    }
}
