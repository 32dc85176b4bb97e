//! The preview of a rewrite: a unified diff with three lines of context.

use similar::TextDiff;

/// The difference between two texts in unified format, headed by the file's name; empty when they are equal.
pub fn unified_diff(name: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(3)
        .header(&format!("a/{name}"), &format!("b/{name}"))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_its_context() {
        assert_eq!(unified_diff("x.yml", "same\n", "same\n"), "");
        let before = "1\n2\n3\n4\nold\n5\n6\n7\n8\n";
        insta::assert_snapshot!(unified_diff("x.yml", before, &before.replace("old", "new")), @r#"
--- a/x.yml
+++ b/x.yml
@@ -2,7 +2,7 @@
 2
 3
 4
-old
+new
 5
 6
 7
"#);
    }
}
