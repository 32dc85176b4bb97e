//! Which items of an archive are meant.

use std::collections::HashMap;

use super::{Pattern, Rules, Style, without_slashes};
use crate::Error;

/// Which items of an archive are meant. The default is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// What is wanted; everything that no rule speaks of, if there are none.
    paths: Vec<Pattern>,
    /// Before that, the first of these that matches decides: what it matches, and whether that is in.
    rules: Vec<(Pattern, bool)>,
    /// What patterns that are whole paths say, which decide before all others.
    full: HashMap<Vec<u8>, Verdict>,
}

/// What a selection says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Out,
    In,
    /// It is wanted by the path at this index.
    Wanted(usize),
}

impl Selection {
    /// What any of `paths` matches (everything, if there are none) and none of `excludes` does.
    pub fn new(
        paths: impl IntoIterator<Item = Pattern>,
        excludes: impl IntoIterator<Item = Pattern>,
    ) -> Self {
        let mut rules = Rules::default();
        excludes.into_iter().for_each(|pattern| rules.push(pattern, false));
        Self::with_rules(paths, rules)
    }

    /// What the first of `rules` that matches says, or else any of `paths`. Without paths, the roots that rules may name
    /// take their place; with neither, all that no rule speaks of is meant.
    pub fn with_rules(paths: impl IntoIterator<Item = Pattern>, rules: Rules) -> Self {
        let Rules { rules, roots } = rules;
        let mut paths: Vec<Pattern> = paths.into_iter().collect();
        if paths.is_empty() {
            paths = roots;
        }
        let mut selection = Self { paths, ..Self::default() };
        for (pattern, is_in) in rules {
            match pattern.as_full() {
                // Of one path, the last that is said of it counts.
                Some(path) => {
                    let verdict = if is_in { Verdict::In } else { Verdict::Out };
                    selection.full.insert(path.to_vec(), verdict);
                }
                None => selection.rules.push((pattern, is_in)),
            }
        }
        for (index, pattern) in selection.paths.iter().enumerate() {
            if let Some(path) = pattern.as_full() {
                selection.full.insert(path.to_vec(), Verdict::Wanted(index));
            }
        }
        selection
    }

    /// The items at exactly these paths, as the archive names them; not what is below them. There may be many.
    pub fn of_paths(paths: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let full = paths.into_iter().map(|path| (path, Verdict::In)).collect();
        Self { full, rules: vec![(Pattern::anything(), false)], ..Self::default() }
    }

    /// The same from texts, as `borg extract ARCHIVE PATH… --exclude PATTERN…` reads them: paths are prefixes and
    /// exclusions `fm:` patterns, unless they name another style.
    pub fn parse<T: AsRef<[u8]>>(paths: &[T], excludes: &[T]) -> Result<Self, Error> {
        let mut rules = Rules::default();
        excludes.iter().try_for_each(|text| rules.exclude(text))?;
        Self::parse_with(paths, rules)
    }

    /// What `paths`, which are prefixes unless they name another style, and `rules` mean. See [`Selection::with_rules`].
    pub fn parse_with<T: AsRef<[u8]>>(paths: &[T], rules: Rules) -> Result<Self, Error> {
        let paths: Result<Vec<_>, _> = paths.iter().map(|text| Pattern::parse(text, Style::Prefix)).collect();
        Ok(Self::with_rules(paths?, rules))
    }

    /// Whether the item at `path` is meant.
    pub fn includes(&self, path: &[u8]) -> bool {
        self.verdict(path) != Verdict::Out
    }

    /// Whether that is everything, whatever an archive holds.
    pub fn is_everything(&self) -> bool {
        self.paths.is_empty() && self.rules.is_empty() && self.full.is_empty()
    }

    pub(crate) fn paths(&self) -> &[Pattern] {
        &self.paths
    }

    pub(crate) fn verdict(&self, path: &[u8]) -> Verdict {
        if self.is_everything() {
            return Verdict::In;
        }
        if let Some(verdict) = self.full.get(without_slashes(path)) {
            return *verdict;
        }
        if let Some((_, is_in)) = self.rules.iter().find(|(pattern, _)| pattern.matches(path)) {
            return if *is_in { Verdict::In } else { Verdict::Out };
        }
        let by = self.paths.iter().position(|pattern| pattern.as_full().is_none() && pattern.matches(path));
        match by {
            Some(index) => Verdict::Wanted(index),
            None if self.paths.is_empty() => Verdict::In,
            None => Verdict::Out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rules;
    use super::Selection;

    #[test]
    fn exclusions_go_before_what_is_wanted_but_not_before_a_whole_path() {
        let selection = Selection::parse(&["etc", "pf:etc/keep.log"], &["*.log"]).unwrap();
        assert!(selection.includes(b"etc/passwd") && !selection.includes(b"usr"));
        assert!(!selection.includes(b"etc/x.log") && selection.includes(b"etc/keep.log"));
        assert!(Selection::default().includes(b"anything"));
    }

    #[test]
    fn exact_paths_mean_nothing_below_them() {
        let selection = Selection::of_paths([b"a/b".to_vec()]);
        assert!(selection.includes(b"a/b"));
        assert!(!selection.includes(b"a") && !selection.includes(b"a/b/c"));
        assert!(!Selection::of_paths([]).includes(b"a"));
    }

    #[test]
    fn roots_stand_in_for_paths_that_are_not_named() {
        let rules = || {
            let mut rules = Rules::default();
            rules.pattern("R /etc").unwrap();
            rules
        };
        let roots = Selection::parse_with::<&str>(&[], rules()).unwrap();
        assert!(roots.includes(b"etc/passwd") && !roots.includes(b"usr"));
        let named = Selection::parse_with(&["usr"], rules()).unwrap();
        assert!(!named.includes(b"etc/passwd") && named.includes(b"usr"));
    }
}
