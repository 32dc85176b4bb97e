//! The questions of a restore that flags have not answered, one after the other (DR-3 to DR-6).

use std::path::PathBuf;

use inquire::{Confirm, MultiSelect, Select, Text};
use jiff::Zoned;
use reprise_model::{
    Adaptation, Choice, Contents, Destination, ItemKind, ItemRef, Manner, Protect, RestoreType, Selection,
    human_bytes,
};

use crate::args::{AdaptArg, RestoreArgs};
use crate::commands::archives;
use crate::failure::Failure;
use crate::ui::{Ui, one_line};
use crate::view;
use reprise_borg::Repository;

/// An answer with the text that stands for it.
struct Labelled<T>(T, String);

impl<T> std::fmt::Display for Labelled<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.1)
    }
}

/// Which archive, where none was named; the only one is not worth a question.
pub fn archive(repository: &Repository, ui: &Ui) -> Result<String, Failure> {
    let archives = archives::list(repository, None);
    if archives.len() < 2 {
        return Ok(archives.into_iter().next().map_or_else(|| "latest".to_owned(), |archive| archive.name));
    }
    let options = archives.into_iter().rev().map(|archive| {
        let text = archives::in_one_line(&archive, ui);
        Labelled(archive.name, text)
    });
    let question = ui.word("ask-archive");
    Ok(Select::new(&question, options.collect()).with_help_message(&ui.word("ask-help")).prompt()?.0)
}

/// What `args` ask for, the rest asked of the person at the terminal; without one it is an error.
pub fn choice(args: &RestoreArgs, contents: &Contents, ui: &Ui) -> Result<Choice, Failure> {
    let restart = !args.no_restart;
    let (restore_type, items) = match (args.restore_type, args.items.is_empty()) {
        (Some(given), _) => (given.into(), args.items.clone()),
        (None, false) => (RestoreType::Custom, args.items.clone()),
        (None, true) if args.express || args.in_place || args.to.is_some() || !Ui::can_ask() => {
            (RestoreType::Full, Vec::new())
        }
        (None, true) => {
            view::contents::show(contents, ui);
            ui.line("");
            what(contents, ui)?
        }
    };
    if restore_type != RestoreType::Custom && !items.is_empty() {
        return Err(Failure::new("--item names single items, so it goes with --type custom only")
            .hint("leave --type out, or leave --item out"));
    }
    let destination = match &args.to {
        _ if args.in_place || args.express => Destination::InPlace,
        Some(directory) => Destination::Directory(std::path::absolute(directory)?),
        None if Ui::can_ask() => destination(ui)?,
        None => {
            return Err(Failure::new("it is not said where to restore to")
                .hint("use --in-place for where everything came from, or --to DIR for another place"));
        }
    };
    let asked_where = args.to.is_none() && !args.in_place && !args.express;
    let manner = match (args.merge, args.only_changed) {
        (true, _) => Manner::Merge,
        (_, true) => Manner::OnlyChanged,
        _ => Manner::Replace,
    };
    if manner != Manner::Replace && destination != Destination::InPlace {
        return Err(Failure::new("--merge and --only-changed are for restores in place")
            .hint("leave them out, or restore with --in-place"));
    }
    let protect = Protect::from(args.protect);
    if protect != Protect::Auto && destination != Destination::InPlace {
        return Err(Failure::new("--protect is for restores in place")
            .hint("leave it out: elsewhere nothing that exists is touched"));
    }
    if protect != Protect::Auto && manner == Manner::Merge {
        return Err(Failure::new("--merge removes nothing, and --protect snapshot writes over what differs")
            .hint("leave --protect out: what differs is then kept beside"));
    }
    if args.backup_before && destination != Destination::InPlace {
        return Err(Failure::new("--backup-before is for restores in place")
            .hint("leave it out: elsewhere nothing that exists is touched"));
    }
    let mut choice = Choice {
        restore_type,
        items,
        destination,
        adaptation: args.adapt.into(),
        restart,
        manner,
        protect,
        backup_before: args.backup_before,
    };
    let elsewhere = choice.destination != Destination::InPlace;
    if elsewhere && args.adapt == AdaptArg::None && asked_where && has_project(contents, &choice)? {
        choice.adaptation = adaptation(ui)?;
    }
    Ok(choice)
}

/// Whether a Compose project is among what was chosen: nothing else has compose files.
fn has_project(contents: &Contents, choice: &Choice) -> Result<bool, Failure> {
    let selection = Selection::new(contents, choice)?;
    Ok(selection.items.iter().chain(&selection.covered).any(|item| item.kind == ItemKind::Project))
}

fn select<T>(question: &'static str, options: Vec<(T, &'static str)>, ui: &Ui) -> Result<T, Failure> {
    let options = options.into_iter().map(|(value, key)| Labelled(value, ui.word(key))).collect();
    Ok(Select::new(&ui.word(question), options).with_help_message(&ui.word("ask-help")).prompt()?.0)
}

fn what(contents: &Contents, ui: &Ui) -> Result<(RestoreType, Vec<ItemRef>), Failure> {
    let has = |kind| contents.items.iter().any(|item| item.kind == kind);
    let mut options = vec![(RestoreType::Full, "ask-full")];
    if has(ItemKind::Volume) {
        options.push((RestoreType::VolumesOnly, "ask-volumes"));
    }
    if has(ItemKind::Project) {
        options.push((RestoreType::ComposeOnly, "ask-compose"));
    }
    options.push((RestoreType::Custom, "ask-custom"));
    let restore_type = select("ask-what", options, ui)?;
    if restore_type != RestoreType::Custom {
        return Ok((restore_type, Vec::new()));
    }
    let items = contents.items.iter().map(|item| {
        let reference = item.reference();
        let text = format!("{reference}  {}  /{}", human_bytes(item.bytes), item.path);
        Labelled(reference, one_line(&text))
    });
    let chosen = MultiSelect::new(&ui.word("ask-items"), items.collect())
        .with_validator(inquire::min_length!(1))
        .with_help_message(&ui.word("ask-items-help"))
        .prompt()?;
    Ok((restore_type, chosen.into_iter().map(|option| option.0).collect()))
}

fn destination(ui: &Ui) -> Result<Destination, Failure> {
    let in_place = select("ask-where", vec![(false, "ask-elsewhere"), (true, "ask-in-place")], ui)?;
    if in_place {
        return Ok(Destination::InPlace);
    }
    let default = Zoned::now().strftime("/opt/restore_%Y-%m-%d_%H-%M").to_string();
    let directory = Text::new(&ui.word("ask-directory")).with_default(&default).prompt()?;
    Ok(Destination::Directory(std::path::absolute(PathBuf::from(directory))?))
}

fn adaptation(ui: &Ui) -> Result<Adaptation, Failure> {
    let options = vec![
        (Adaptation::AutoModify, "ask-adapt-auto"),
        (Adaptation::GenerateNew, "ask-adapt-new"),
        (Adaptation::None, "ask-adapt-none"),
    ];
    select("ask-adapt", options, ui)
}

/// Asks whether to go on. What changes things in place is agreed to by typing a word.
pub fn agreement(in_place: bool, ui: &Ui) -> Result<(), Failure> {
    if !Ui::can_ask() {
        return Err(Failure::new("this changes the host, and nobody can be asked")
            .hint("add --yes to go on without a question, or --dry-run to only look"));
    }
    let agreed = if in_place {
        let word = ui.word("ask-word");
        let question = reprise_model::Message::new("ask-type-word").text("word", &word);
        Text::new(&ui.text(&question)).prompt()?.trim() == word
    } else {
        Confirm::new(&ui.word("ask-go-on")).with_default(false).prompt()?
    };
    if agreed { Ok(()) } else { Err(Failure::cancelled()) }
}
