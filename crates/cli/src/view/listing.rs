//! Many items on standard output: line by line for people, as one array for programs.

use std::io::{self, BufWriter, ErrorKind, Stdout, Write};

use crate::failure::Failure;
use crate::ui::Ui;
use crate::view::clock::Clock;
use crate::view::item::Listed;

/// Bytes written at once.
const BUFFER: usize = 1 << 16;

/// A list being printed.
pub struct Listing {
    out: BufWriter<Stdout>,
    line: String,
    clock: Clock,
    /// With `--json`: printed only at the end, for an error on the way is a document of its own.
    array: Option<Vec<u8>>,
    count: u64,
}

impl Listing {
    /// An empty one.
    pub fn new(ui: &Ui) -> Self {
        let out = BufWriter::with_capacity(BUFFER, io::stdout());
        Self { out, line: String::new(), clock: Clock::default(), array: ui.json.then(Vec::new), count: 0 }
    }

    /// Adds an item. False once nobody reads any more: that is no error, and no reason to go on.
    pub fn add(&mut self, item: &Listed<'_>) -> Result<bool, Failure> {
        self.count += 1;
        let Some(array) = &mut self.array else {
            self.line.clear();
            item.line(&mut self.clock, &mut self.line);
            return goes_on(self.out.write_all(self.line.as_bytes()));
        };
        array.extend_from_slice(if self.count == 1 { b"[\n  " } else { b",\n  " });
        serde_json::to_writer(array, item).map_err(|error| Failure::new(error.to_string()))?;
        Ok(true)
    }

    /// Prints what is left; returns how many items there were.
    pub fn end(mut self) -> Result<u64, Failure> {
        if let Some(mut array) = self.array.take() {
            array.extend_from_slice(if self.count == 0 { b"[]\n" } else { b"\n]\n" });
            goes_on(self.out.write_all(&array))?;
        }
        goes_on(self.out.flush())?;
        Ok(self.count)
    }
}

fn goes_on(written: io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}
