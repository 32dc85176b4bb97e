//! What an archive holds.

use reprise_model::{Contents, Origin, human_bytes};

use crate::ui::{Ui, one_line};
use crate::view::{align_right, plan, table};

/// Shows `contents`.
pub fn show(contents: &Contents, ui: &Ui) {
    if contents.items.is_empty() {
        ui.line(ui.word("contents-nothing"));
    } else {
        let headings =
            ["word-kind", "word-name", "word-size", "word-entries", "word-path"].map(|key| ui.word(key));
        let mut rows = table(&headings);
        for item in &contents.items {
            let entries = item.entries.to_string();
            let path = one_line(&format!("/{}", item.path));
            rows.add_row([
                item.kind.as_str(),
                &one_line(&item.name),
                &human_bytes(item.bytes),
                &entries,
                &path,
            ]);
        }
        align_right(&mut rows, &[2, 3]);
        ui.line(rows.to_string());
    }
    let origin = match contents.origin {
        Origin::Recorded => "contents-recorded",
        Origin::Paths => "contents-from-paths",
    };
    let total = reprise_model::Message::new("contents-total").bytes("size", contents.bytes);
    ui.line(format!("\n{}", ui.text(&total.count("entries", contents.entries))));
    ui.line(ui.word(origin));
    plan::findings(&contents.findings, ui);
}
