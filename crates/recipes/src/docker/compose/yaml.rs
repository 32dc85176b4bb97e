//! A YAML document as a tree that remembers where each value stands in the text.
//!
//! Aliases stay aliases in the tree (an edit has to be made where the value is written, not where it is
//! used); [`Tree::resolve`] and [`Tree::entries`] give the view with aliases followed and merge keys (`<<`)
//! applied. Positions are byte ranges; the parser counts characters, so they are converted here, once.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::error::ComposeError;

/// How much of a compose file is accepted. Real ones stay far below.
pub mod limits {
    /// Longest text, in bytes.
    pub const TEXT_BYTES: usize = 1024 * 1024;
    /// Deepest nesting, with aliases followed.
    pub const DEPTH: usize = 64;
    /// Most values (scalars, lists, mappings), with aliases followed.
    pub const VALUES: usize = 200_000;
}

/// Index of a node in its tree. Nodes are numbered in the order of the text.
pub(super) type NodeId = usize;

/// One value of the document.
#[derive(Debug)]
pub(super) struct Node {
    pub kind: Kind,
    /// Where it stands, in bytes, as the parser has it: with anchor and tag, and without the header of a block
    /// scalar. The splicer narrows it down.
    pub span: Range<usize>,
    /// Line of its first character, from one.
    pub line: usize,
    /// Whether it carries an anchor.
    pub anchored: bool,
    /// Its tag, such as `!reset`.
    pub tag: Option<String>,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Kind {
    Scalar { value: String, style: ScalarStyle },
    Sequence(Vec<NodeId>),
    Mapping(Vec<(NodeId, NodeId)>),
    Alias(NodeId),
}

/// A parsed document.
#[derive(Debug)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
    pub root: NodeId,
}

/// One entry of a mapping, merge keys applied. `value` may be an alias.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'t> {
    pub key: &'t str,
    pub value: NodeId,
}

impl Tree {
    /// Parses one document within the limits.
    pub fn parse(text: &str) -> Result<Self, ComposeError> {
        if text.len() > limits::TEXT_BYTES {
            return Err(ComposeError::TooLarge { bytes: text.len(), limit: limits::TEXT_BYTES });
        }
        let mut builder = Builder::new(text);
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| ComposeError::Syntax {
                line: error.marker().line(),
                column: error.marker().col() + 1,
                message: error.info().to_owned(),
            })?;
            builder.event(event, span)?;
        }
        builder.finish()
    }

    /// The node itself, or what its alias stands for.
    pub fn resolve(&self, id: NodeId) -> NodeId {
        // An alias never points to an alias: anchors stand on values.
        match self.nodes[id].kind {
            Kind::Alias(target) => target,
            _ => id,
        }
    }

    /// The resolved node.
    pub fn get(&self, id: NodeId) -> &Node {
        &self.nodes[self.resolve(id)]
    }

    /// The text of a scalar; nothing for lists, mappings, and an unquoted null.
    pub fn scalar(&self, id: NodeId) -> Option<&str> {
        let node = self.get(id);
        match &node.kind {
            Kind::Scalar { value, style } if !is_null(value, *style) && !is_reset(node) => Some(value),
            _ => None,
        }
    }

    /// The items of a list; nothing for anything else.
    pub fn items(&self, id: NodeId) -> &[NodeId] {
        let node = self.get(id);
        match &node.kind {
            Kind::Sequence(items) if !is_reset(node) => items,
            _ => &[],
        }
    }

    /// Whether this is a mapping.
    pub fn is_mapping(&self, id: NodeId) -> bool {
        matches!(self.get(id).kind, Kind::Mapping(_))
    }

    /// Whether this is a null: nothing written, `null`, `~`, or taken away with `!reset`.
    pub fn is_null(&self, id: NodeId) -> bool {
        let node = self.get(id);
        is_reset(node) || matches!(&node.kind, Kind::Scalar { value, style } if is_null(value, *style))
    }

    /// The entries of a mapping in order, with merge keys applied: what is written in the mapping wins over
    /// what is merged in, an earlier merge over a later one. Of a key written twice the last counts.
    pub fn entries(&self, id: NodeId) -> Vec<Entry<'_>> {
        let mut entries = Vec::new();
        let mut places = HashMap::new();
        self.collect_entries(self.resolve(id), &mut entries, &mut places);
        entries
    }

    /// The value under a key.
    pub fn field(&self, id: NodeId, key: &str) -> Option<NodeId> {
        self.entries(id).into_iter().find(|entry| entry.key == key).map(|entry| entry.value)
    }

    fn collect_entries<'t>(
        &'t self,
        id: NodeId,
        entries: &mut Vec<Entry<'t>>,
        places: &mut HashMap<&'t str, (usize, NodeId)>,
    ) {
        let node = &self.nodes[id];
        let Kind::Mapping(pairs) = &node.kind else { return };
        if is_reset(node) {
            return;
        }
        let mut merges = Vec::new();
        for &(key, value) in pairs {
            let Kind::Scalar { value: name, style } = &self.get(key).kind else { continue };
            if name == "<<" && *style == ScalarStyle::Plain {
                merges.push(value);
                continue;
            }
            match places.get(name.as_str()) {
                // Written twice in this very mapping; otherwise what is there already wins.
                Some(&(place, owner)) if owner == id => entries[place].value = value,
                Some(_) => {}
                None => {
                    places.insert(name, (entries.len(), id));
                    entries.push(Entry { key: name, value });
                }
            }
        }
        for merge in merges {
            let merge = self.resolve(merge);
            match &self.nodes[merge].kind {
                Kind::Sequence(bases) => {
                    for &base in bases {
                        self.collect_entries(self.resolve(base), entries, places);
                    }
                }
                _ => self.collect_entries(merge, entries, places),
            }
        }
    }
}

fn is_null(value: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(value, "" | "~" | "null" | "Null" | "NULL")
}

/// Compose's `!reset` takes a value away again; what follows it does not count.
fn is_reset(node: &Node) -> bool {
    node.tag.as_deref() == Some("!reset")
}

/// An unfinished list or mapping.
struct Open {
    id: NodeId,
    children: Vec<NodeId>,
    size: usize,
    depth: usize,
}

/// Builds the tree from the parser's events, without recursion.
struct Builder<'a> {
    text: &'a str,
    ascii: bool,
    /// Byte offset of each character; empty for ASCII, where both are the same.
    offsets: Vec<usize>,
    nodes: Vec<Node>,
    /// Values and nesting below each finished node, aliases followed.
    weights: Vec<(usize, usize)>,
    anchors: HashMap<usize, NodeId>,
    open: Vec<Open>,
    root: Option<NodeId>,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str) -> Self {
        let ascii = text.is_ascii();
        let offsets =
            if ascii { Vec::new() } else { text.char_indices().map(|(offset, _)| offset).collect() };
        Self {
            text,
            ascii,
            offsets,
            nodes: Vec::new(),
            weights: Vec::new(),
            anchors: HashMap::new(),
            open: Vec::new(),
            root: None,
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), ComposeError> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                return Err(ComposeError::SeveralDocuments { line: span.start.line() });
            }
            Event::Scalar(value, style, anchor, tag) => {
                let kind = Kind::Scalar { value: value.into_owned(), style };
                let id = self.push(kind, span, anchor, tag.map(|tag| tag.to_string()))?;
                self.close(id, 1, 1)?;
            }
            Event::Alias(anchor) => {
                let line = span.start.line();
                // The parser knows every anchor it numbers; an unfinished one is a circle.
                let target = self.anchors.get(&anchor).copied();
                let Some(target) = target.filter(|&id| self.weights[id].0 > 0) else {
                    return Err(ComposeError::RecursiveAlias { line });
                };
                let (size, depth) = self.weights[target];
                let id = self.push(Kind::Alias(target), span, 0, None)?;
                self.close(id, size, depth)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Kind::Sequence(Vec::new()), span, anchor, tag.map(|tag| tag.to_string()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Kind::Mapping(Vec::new()), span, anchor, tag.map(|tag| tag.to_string()))?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let end = self.byte(span.end.index());
                if let Some(Open { id, children, size, depth }) = self.open.pop() {
                    self.nodes[id].span.end = end.max(self.nodes[id].span.start);
                    self.nodes[id].kind = match self.nodes[id].kind {
                        Kind::Sequence(_) => Kind::Sequence(children),
                        _ => Kind::Mapping(children.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()),
                    };
                    self.close(id, size + 1, depth + 1)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(
        &mut self,
        kind: Kind,
        span: Span,
        anchor: usize,
        tag: Option<String>,
    ) -> Result<(), ComposeError> {
        let line = span.start.line();
        let id = self.push(kind, span, anchor, tag)?;
        self.open.push(Open { id, children: Vec::new(), size: 0, depth: 0 });
        if self.open.len() > limits::DEPTH {
            return Err(ComposeError::TooDeep { line, limit: limits::DEPTH });
        }
        Ok(())
    }

    fn push(
        &mut self,
        kind: Kind,
        span: Span,
        anchor: usize,
        tag: Option<String>,
    ) -> Result<NodeId, ComposeError> {
        let id = self.nodes.len();
        if id >= limits::VALUES {
            return Err(ComposeError::TooManyValues { limit: limits::VALUES });
        }
        let start = self.byte(span.start.index());
        let end = self.byte(span.end.index()).max(start);
        self.nodes.push(Node { kind, span: start..end, line: span.start.line(), anchored: anchor != 0, tag });
        self.weights.push((0, 0));
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        Ok(id)
    }

    /// Hands a finished node to what it stands in, and keeps the expanded sizes within the limits.
    fn close(&mut self, id: NodeId, size: usize, depth: usize) -> Result<(), ComposeError> {
        self.weights[id] = (size, depth);
        if size > limits::VALUES {
            return Err(ComposeError::TooManyValues { limit: limits::VALUES });
        }
        if depth > limits::DEPTH {
            return Err(ComposeError::TooDeep { line: self.nodes[id].line, limit: limits::DEPTH });
        }
        if let Some(parent) = self.open.last_mut() {
            parent.children.push(id);
            parent.size += size;
            parent.depth = parent.depth.max(depth);
            if parent.size > limits::VALUES {
                return Err(ComposeError::TooManyValues { limit: limits::VALUES });
            }
        } else if self.root.is_none() {
            self.root = Some(id);
        }
        Ok(())
    }

    fn byte(&self, character: usize) -> usize {
        if self.ascii {
            character.min(self.text.len())
        } else {
            self.offsets.get(character).copied().unwrap_or(self.text.len())
        }
    }

    fn finish(self) -> Result<Tree, ComposeError> {
        let root = self.root.ok_or(ComposeError::Empty)?;
        Ok(Tree { nodes: self.nodes, root })
    }
}
