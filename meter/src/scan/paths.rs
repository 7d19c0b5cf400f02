//! The table of wanted paths, as a tree that a scanner walks along.

use super::fold::is_alike;

/// How deep a wanted value may lie.
pub const MAX_DEPTH: usize = 12;

/// The longest name in a wanted path, bytes; longer names in a body cannot match.
pub(super) const MAX_NAME: usize = 64;

/// Any name.
const ANY: &str = "*";

/// A place in the tree.
pub(super) type Node = u16;

/// As many as a bucket number has room for: the largest object that is looked into has some 70 wanted names.
const BUCKETS: usize = 64;

#[derive(Debug)]
struct Name {
    name: &'static str,
    node: Node,
    /// The name before it in its bucket.
    next: Option<u16>,
}

/// The bucket of a name: by its length, its first and its last byte.
fn bucket(name: &[u8]) -> usize {
    let end = |byte: Option<&u8>| byte.copied().map_or(0, usize::from);
    let mixed =
        name.len().wrapping_add(end(name.first()).wrapping_mul(31)).wrapping_add(end(name.last()).wrapping_mul(17));
    mixed % BUCKETS
}

/// Stands for no place: a name that leads nowhere, where any other would.
const NOWHERE: Node = Node::MAX;

/// What is wanted of all that has no place of its own.
#[derive(Clone, Copy, Debug)]
pub struct Rest<L: 'static> {
    /// The places below which it lies, and all texts are wanted.
    pub below: &'static [&'static str],
    /// What these texts are.
    pub leaf: L,
    /// Names, at any depth, of what is not wanted.
    pub but: &'static [&'static str],
    /// Names, at any depth, of objects and arrays that are wanted whole.
    pub whole: &'static [&'static str],
    /// Paths of what is not wanted.
    pub nowhere: &'static [&'static str],
    /// Whether a place that is wanted whole as this has nothing else in it.
    pub ends: fn(L) -> bool,
}

/// The wanted paths: names joined by dots, `[]` behind the name of an array for any of its elements, `*` for any name that the
/// place does not have itself.
#[derive(Debug)]
pub struct Paths<L> {
    nodes: Vec<Place<L>>,
}

#[derive(Debug)]
struct Place<L> {
    names: Vec<Name>,
    /// The last of the names in each bucket: most names of a body fall into an empty one. Made with the first name: most
    /// places have none.
    buckets: Option<Box<[Option<u16>; BUCKETS]>>,
    element: Option<Node>,
    /// Below any other name.
    any: Option<Node>,
    /// Below other names that are like something.
    like: Option<Like>,
    leaf: Option<L>,
    raw: Option<L>,
    flow: Option<L>,
}

/// Which names are alike, and where they lead.
type Like = (fn(&[u8]) -> bool, Node);

impl<L> Place<L> {
    const fn new() -> Self {
        Place {
            names: Vec::new(),
            buckets: None,
            element: None,
            any: None,
            like: None,
            leaf: None,
            raw: None,
            flow: None,
        }
    }
}

impl<L: Copy> Paths<L> {
    /// The root of every tree.
    pub(super) const ROOT: Node = 0;

    /// Builds the tree of scalars (`leaves`), of objects or arrays that are wanted whole (`raws`), and of texts that
    /// are wanted as they flow by (`flows`). Paths deeper than [`MAX_DEPTH`] are left out.
    pub fn new(leaves: &[(&'static str, L)], raws: &[(&'static str, L)], flows: &[(&'static str, L)]) -> Self {
        let mut paths = Paths { nodes: vec![Place::new()] };
        for (path, leaf) in flows {
            if let Some(place) = paths.reach(path) {
                place.flow = Some(*leaf);
            }
        }
        for (path, leaf) in leaves {
            if let Some(place) = paths.reach(path) {
                place.leaf = Some(*leaf);
            }
        }
        for (path, leaf) in raws {
            if let Some(place) = paths.reach(path) {
                place.raw = Some(*leaf);
            }
        }
        paths
    }

    /// Makes every text below the places flow, at any depth and whatever its name is, where nothing else is wanted.
    #[must_use]
    pub fn with_rest(mut self, rest: &Rest<L>) -> Self {
        let Some(deep) = self.deep(rest) else { return self };
        for path in rest.nowhere {
            let (above, name) = path.rsplit_once('.').unwrap_or(("", path));
            if let Some(node) = self.node(above) {
                self.name(node, name, NOWHERE);
            }
        }
        for path in rest.below {
            if let Some(node) = self.node(path) {
                self.fill(node, deep, rest);
            }
        }
        self
    }

    /// The same with what is wanted, scalar or not, of every name that is like something and has no place of its own: in the
    /// object at each of these paths, and, for the empty one, at the root.
    pub fn and_like(mut self, parents: &[&'static str], is_like: fn(&[u8]) -> bool, leaf: L) -> Self {
        for parent in parents {
            let Some(node) = self.grow() else { return self };
            if let Some(place) = self.nodes.get_mut(usize::from(node)) {
                (place.leaf, place.raw) = (Some(leaf), Some(leaf));
            }
            if let Some(place) = self.reach(parent) {
                place.like = Some((is_like, node));
            }
        }
        self
    }

    /// The place of what has no place of its own: it leads to itself.
    fn deep(&mut self, rest: &Rest<L>) -> Option<Node> {
        let deep = self.grow()?;
        for name in rest.but {
            self.name(deep, name, NOWHERE);
        }
        for name in rest.whole {
            let node = self.child(deep, name)?;
            let place = self.nodes.get_mut(usize::from(node))?;
            (place.flow, place.raw) = (Some(rest.leaf), Some(rest.leaf));
        }
        let place = self.nodes.get_mut(usize::from(deep))?;
        (place.flow, place.any, place.element) = (Some(rest.leaf), Some(deep), Some(deep));
        Some(deep)
    }

    /// Leads to the rest from a place and all below it.
    fn fill(&mut self, node: Node, deep: Node, rest: &Rest<L>) {
        let Some(place) = self.nodes.get_mut(usize::from(node)) else { return };
        let is_plain = place.leaf.is_none() && place.raw.is_none();
        // A place that leads to itself or to here has been reached before.
        if place.raw.is_some_and(rest.ends) || place.any.is_some_and(|any| any == node || any == deep) {
            return;
        }
        if is_plain && place.flow.is_none() {
            place.flow = Some(rest.leaf);
        }
        // A scalar that is wanted is nothing else.
        let is_scalar = place.leaf.is_some() && place.names.is_empty() && place.element.is_none();
        if is_scalar && place.flow.is_none() {
            return;
        }
        let below: Vec<Node> = place.names.iter().map(|name| name.node).chain(place.element).chain(place.any).collect();
        place.any.get_or_insert(deep);
        place.element.get_or_insert(deep);
        for node in below {
            self.fill(node, deep, rest);
        }
    }

    fn reach(&mut self, path: &'static str) -> Option<&mut Place<L>> {
        let node = self.node(path)?;
        self.nodes.get_mut(usize::from(node))
    }

    fn node(&mut self, path: &'static str) -> Option<Node> {
        let mut node = Self::ROOT;
        let mut depth = 0usize;
        for segment in path.split('.') {
            let (name, is_array) = match segment.strip_suffix("[]") {
                Some(name) => (name, true),
                None => (segment, false),
            };
            if !name.is_empty() {
                node = if name == ANY { self.any_of(node)? } else { self.child(node, name)? };
                depth = depth.saturating_add(1);
            }
            if is_array {
                node = self.element_of(node)?;
                depth = depth.saturating_add(1);
            }
        }
        (depth <= MAX_DEPTH).then_some(node)
    }

    fn child(&mut self, node: Node, name: &'static str) -> Option<Node> {
        if name.len() > MAX_NAME {
            return None;
        }
        match self.known(node, name.as_bytes()) {
            Some(child) => Some(child),
            None => {
                let child = self.grow()?;
                self.name(node, name, child)?;
                Some(child)
            }
        }
    }

    /// Gives a place a name that it does not have yet.
    fn name(&mut self, node: Node, name: &'static str, child: Node) -> Option<()> {
        if self.known(node, name.as_bytes()).is_some() {
            return None;
        }
        let place = self.nodes.get_mut(usize::from(node))?;
        let number = u16::try_from(place.names.len()).ok()?;
        let buckets = place.buckets.get_or_insert_with(|| Box::new([None; BUCKETS]));
        let slot = buckets.get_mut(bucket(name.as_bytes()))?;
        place.names.push(Name { name, node: child, next: slot.replace(number) });
        Some(())
    }

    fn any_of(&mut self, node: Node) -> Option<Node> {
        match self.nodes.get(usize::from(node))?.any {
            Some(child) => Some(child),
            None => {
                let child = self.grow()?;
                self.nodes.get_mut(usize::from(node))?.any = Some(child);
                Some(child)
            }
        }
    }

    fn element_of(&mut self, node: Node) -> Option<Node> {
        match self.element(node) {
            Some(child) => Some(child),
            None => {
                let child = self.grow()?;
                self.nodes.get_mut(usize::from(node))?.element = Some(child);
                Some(child)
            }
        }
    }

    fn grow(&mut self) -> Option<Node> {
        let node = Node::try_from(self.nodes.len()).ok()?;
        self.nodes.push(Place::new());
        Some(node)
    }

    /// The place of a name, and whether the name is one of those that are wanted.
    pub(super) fn named(&self, node: Node, name: &[u8]) -> (Option<Node>, bool) {
        if let Some(known) = self.known(node, name) {
            return (Some(known).filter(|&known| known != NOWHERE), true);
        }
        let any = self.nodes.get(usize::from(node)).and_then(|place| place.any);
        // The names of the rest hold in every place that leads to it.
        let named = any.and_then(|any| self.known(any, name).filter(|_| self.is_deep(any)).or(Some(any)));
        (named.filter(|&named| named != NOWHERE), false)
    }

    fn is_deep(&self, node: Node) -> bool {
        self.nodes.get(usize::from(node)).is_some_and(|place| place.any == Some(node))
    }

    /// Where a name leads that has no place of its own, if it is like what is wanted there.
    pub(super) fn like(&self, node: Node, name: &[u8]) -> Option<(L, Node)> {
        let (is_like, node) = self.nodes.get(usize::from(node))?.like?;
        is_like(name).then(|| self.leaf(node).map(|leaf| (leaf, node))).flatten()
    }

    fn known(&self, node: Node, name: &[u8]) -> Option<Node> {
        let place = self.nodes.get(usize::from(node))?;
        let mut next = place.buckets.as_ref()?.get(bucket(name)).copied().flatten();
        while let Some(known) = next.and_then(|number| place.names.get(usize::from(number))) {
            if known.name.as_bytes() == name {
                return Some(known.node);
            }
            next = known.next;
        }
        None
    }

    /// What is wanted at the place of a name that is like this one, but for the case of its letters.
    pub(super) fn alike(&self, node: Node, name: &[u8]) -> Option<L> {
        let names = &self.nodes.get(usize::from(node))?.names;
        let known = names.iter().find(|known| is_alike(known.name, name))?;
        let place = self.nodes.get(usize::from(known.node))?;
        place.leaf.or(place.raw).or(place.flow)
    }

    pub(super) fn element(&self, node: Node) -> Option<Node> {
        self.nodes.get(usize::from(node))?.element
    }

    pub(super) fn leaf(&self, node: Node) -> Option<L> {
        self.nodes.get(usize::from(node))?.leaf
    }

    pub(super) fn raw(&self, node: Node) -> Option<L> {
        self.nodes.get(usize::from(node))?.raw
    }

    pub(super) fn flow(&self, node: Node) -> Option<L> {
        self.nodes.get(usize::from(node))?.flow
    }

    /// Whether an object at the place can hold something wanted.
    pub(super) fn has_names(&self, node: Node) -> bool {
        let has = |place: &Place<L>| !place.names.is_empty() || place.any.is_some() || place.like.is_some();
        self.nodes.get(usize::from(node)).is_some_and(has)
    }
}
