//! Rules that let things in or leave them out, in Borg's words for them.
//!
//! Borg 1.x, `patterns.py` and `borg help patterns`: of several options, and of lines within a file, the first that
//! matches decides.

use super::{Pattern, Style, unusable};
use crate::Error;

/// What `--exclude`, `--exclude-from`, `--pattern` and `--patterns-from` say, in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// What is matched, and whether that is in.
    pub(super) rules: Vec<(Pattern, bool)>,
    /// Where a backup was to begin.
    pub(super) roots: Vec<Pattern>,
}

impl Rules {
    /// Leaves out what `pattern` matches, of the style [`Style::Fnmatch`] unless it names another: `--exclude`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it cannot be used.
    pub fn exclude(&mut self, pattern: impl AsRef<[u8]>) -> Result<(), Error> {
        self.rules.push((Pattern::parse(pattern, Style::Fnmatch)?, false));
        Ok(())
    }

    /// The same for every line of a file: `--exclude-from`. White space at either end of a line says nothing, nor do lines
    /// that are empty or begin with `#`.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the line.
    pub fn exclude_lines(&mut self, text: &[u8]) -> Result<(), Error> {
        each_line(text, |line| self.exclude(line))
    }

    /// One rule: `+ PATTERN` lets in, `- PATTERN` leaves out, `! PATTERN` too (it keeps backups from descending, and there
    /// is no descending into an archive); `R PATH` names a root. Patterns are of the style [`Style::Shell`] unless they name
    /// another. A `P STYLE` is about the rest of a file, so nothing comes of it here. This is `--pattern`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else, and for patterns that cannot be used.
    pub fn pattern(&mut self, rule: impl AsRef<[u8]>) -> Result<(), Error> {
        let mut style = Style::Shell;
        self.rule(rule.as_ref(), &mut style)
    }

    /// The same for every line of a file, where `P STYLE` sets the style of patterns that name none: `--patterns-from`.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the line.
    pub fn pattern_lines(&mut self, text: &[u8]) -> Result<(), Error> {
        let mut style = Style::Shell;
        each_line(text, |line| self.rule(line, &mut style))
    }

    pub(super) fn push(&mut self, pattern: Pattern, is_in: bool) {
        self.rules.push((pattern, is_in));
    }

    fn rule(&mut self, rule: &[u8], style: &mut Style) -> Result<(), Error> {
        let (command, rest) = rule.split_first().ok_or_else(|| malformed(rule))?;
        let rest = trim_start(rest);
        if rest.is_empty() {
            return Err(malformed(rule));
        }
        match command {
            b'+' => self.push(Pattern::parse(rest, *style)?, true),
            b'-' | b'!' => self.push(Pattern::parse(rest, *style)?, false),
            b'R' | b'r' => self.roots.push(Pattern::parse(rest, Style::Prefix)?),
            b'P' | b'p' => {
                *style = Style::from_letters(rest).ok_or_else(|| unusable(rule, "its style is unknown"))?;
            }
            _ => return Err(malformed(rule)),
        }
        Ok(())
    }
}

fn malformed(rule: &[u8]) -> Error {
    let rule = String::from_utf8_lossy(rule);
    Error::Invalid {
        reason: format!(
            "{rule:?} is no rule: it is `+ PATTERN`, `- PATTERN`, `! PATTERN`, `R PATH` or `P STYLE`"
        ),
    }
}

fn each_line(text: &[u8], mut each: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        // As in files of old, a carriage return ends a line as well.
        for line in line.split(|byte| *byte == b'\r') {
            let line = trim_start(trim_end(line));
            if !line.is_empty() && !line.starts_with(b"#") {
                each(line)
                    .map_err(|error| Error::Invalid { reason: format!("line {}: {error}", number + 1) })?;
            }
        }
    }
    Ok(())
}

/// What Python takes for white space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

fn trim_start(text: &[u8]) -> &[u8] {
    let valid = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    &text[valid.len() - valid.trim_start_matches(is_space).len()..]
}

fn trim_end(text: &[u8]) -> &[u8] {
    let Some(last) = text.utf8_chunks().last().filter(|last| last.invalid().is_empty()) else { return text };
    &text[..text.len() - (last.valid().len() - last.valid().trim_end_matches(is_space).len())]
}

#[cfg(test)]
mod tests {
    use super::super::Selection;
    use super::Rules;

    fn of(fill: impl FnOnce(&mut Rules)) -> Selection {
        let mut rules = Rules::default();
        fill(&mut rules);
        Selection::with_rules([], rules)
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let text = b"  # what is kept\n\n+ home/*/keep\r\n-home/*/*\n\tP fm \n- *.tmp\n";
        let selection = of(|rules| rules.pattern_lines(text).unwrap());
        assert!(selection.includes(b"home/me/keep/x") && !selection.includes(b"home/me/lost"));
        assert!(selection.includes(b"home/me") && !selection.includes(b"a/b.tmp"));
        let reversed = of(|rules| {
            rules.exclude("home").unwrap();
            rules.pattern("+ home/me/keep").unwrap();
        });
        assert!(!reversed.includes(b"home/me/keep"));
    }

    #[test]
    fn of_a_whole_path_the_last_rule_counts_and_before_all_patterns() {
        let selection = of(|rules| {
            rules.exclude("*").unwrap();
            rules.pattern("- pf:a/b").unwrap();
            rules.pattern("+ pf:/a/b").unwrap();
        });
        assert!(selection.includes(b"a/b") && !selection.includes(b"a/c"));
    }

    #[test]
    fn the_style_is_set_for_the_rest_of_one_file() {
        let mut rules = Rules::default();
        rules.pattern_lines(b"P re\n- ^b$").unwrap();
        rules.pattern_lines(b"- *c").unwrap();
        rules.pattern("P re").unwrap();
        rules.pattern("- ?").unwrap();
        let selection = Selection::with_rules([], rules);
        for (path, is_in) in [("b", false), ("xb", true), ("xc", false), ("xx/xc", true), ("d", false)] {
            assert_eq!(selection.includes(path.as_bytes()), is_in, "{path}");
        }
    }

    #[test]
    fn what_is_no_rule_is_said_with_its_line() {
        for bad in ["x", "+", "- ", "P zz", "+xx:a", "- re:(", ""] {
            assert!(Rules::default().pattern(bad).is_err(), "{bad}");
        }
        let error = Rules::default().pattern_lines(b"# fine\n- a\nhome/me\n").unwrap_err();
        assert!(error.to_string().starts_with("line 3: "), "{error}");
    }
}
