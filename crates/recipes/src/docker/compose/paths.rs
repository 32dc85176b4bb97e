//! Paths as text, the way Compose sees them: joined and cleaned without looking at a disk.

/// Makes `path` absolute against `base` and removes `.`, `..` and doubled slashes, without following links.
/// `..` at the root stays at the root.
pub(super) fn absolute(base: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{base}/{path}")) }
}

/// Cleans an absolute path: no `.`, `..`, doubled or trailing slashes.
pub(super) fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// What follows `base` in `path` (empty, or beginning with `/`), if `path` is `base` or below it. Both clean.
pub(super) fn below<'p>(base: &str, path: &'p str) -> Option<&'p str> {
    if base == "/" {
        return Some(if path == "/" { "" } else { path });
    }
    path.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Appends what [`below`] gave.
pub(super) fn join(base: &str, rest: &str) -> String {
    clean(&format!("{base}/{rest}"))
}

/// The last part of a path: empty for the root.
pub(super) fn base_name(path: &str) -> String {
    clean(path).rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_lexically() {
        assert_eq!(absolute("/opt/app", "./data/"), "/opt/app/data");
        assert_eq!(absolute("/opt/app", "../../../x"), "/x");
        assert_eq!(absolute("/opt/app", "/srv//a/./b"), "/srv/a/b");
        assert_eq!(below("/opt/app", "/opt/app"), Some(""));
        assert_eq!(below("/opt/app", "/opt/app/x"), Some("/x"));
        assert_eq!(below("/opt/app", "/opt/apple"), None);
        assert_eq!(below("/", "/etc"), Some("/etc"));
        assert_eq!(base_name("/opt/app/"), "app");
        assert_eq!(base_name("/"), "");
    }
}
