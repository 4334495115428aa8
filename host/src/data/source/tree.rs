//! The tree of files that an archive unpacks to: which of its members are data, and which entry's bytes a link stands for.

use super::{
    is_image,
    labels::LIST,
    names,
    passed::{Passed, Why},
};
use crate::text::Show as _;

/// Links that lead to links are followed no further, as systems do.
const MOST_HOPS: usize = 40;

/// What a name in an archive is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Member<P> {
    /// Bytes that lie there.
    Data(P),
    /// Another name for the entry of this name.
    Hard(Vec<u8>),
    /// What lies at this path, seen from the link's folder.
    Symbolic(Vec<u8>),
    /// Nothing that can be read, and why.
    Unread(String),
}

/// What stands in an archive, by names that are tidy, in its order.
pub(super) type Members<P> = Vec<(Vec<u8>, Member<P>)>;

/// Finds members by their names.
pub(super) struct Tree<'a, P> {
    members: &'a [(Vec<u8>, Member<P>)],
    /// By name, of equal ones in the archive's order.
    order: Vec<u32>,
}

/// Members by their names, each with where its bytes lie, or why there are none.
pub(super) type Found<'a, P> = Vec<(&'a [u8], Result<P, String>)>;

/// What of an archive is data, in its order.
pub(super) struct Sorted<'a, P> {
    pub(super) images: Found<'a, P>,
    /// `WebDataset`'s labels.
    pub(super) classes: Found<'a, P>,
    /// `StyleGAN`'s lists of labels.
    pub(super) lists: Found<'a, P>,
}

/// What a link that has no image's name leads to.
#[derive(Debug, PartialEq, Eq)]
enum Leads {
    File,
    Folder,
    Nowhere,
}

impl<'a, P: Copy> Tree<'a, P> {
    pub(super) fn new(members: &'a [(Vec<u8>, Member<P>)]) -> Self {
        let mut order: Vec<u32> = (0..members.len() as u32).collect();
        order.sort_by(|&one, &other| members[one as usize].0.cmp(&members[other as usize].0));
        Self { members, order }
    }

    /// The images and labels; what else there is goes to `passed`, where `at` says where it may be looked into. An image or
    /// label that stands in the archive twice is an error: unpacking would keep one of them, reading in order both.
    pub(super) fn sort<Q>(&self, passed: &mut Passed<Q>, at: impl Fn(P) -> Q) -> Result<Sorted<'a, P>, String> {
        let mut sorted = Sorted { images: Vec::new(), classes: Vec::new(), lists: Vec::new() };
        for (index, (name, _)) in self.members.iter().enumerate() {
            if names::is_hidden(name) {
                passed.count(Why::Hidden, name);
                continue;
            }
            let to = match () {
                () if is_image(&names::text(name)) => &mut sorted.images,
                () if names::ending(name) == "cls" => &mut sorted.classes,
                () if names::base(name) == LIST.as_bytes() => &mut sorted.lists,
                () => {
                    self.pass(index, passed, &at);
                    continue;
                }
            };
            if self.find(name) != Some(index) {
                let name = names::text(name);
                return Err(format!("entry {} stands in it twice; which is meant? Pack it anew", name.shown()));
            }
            to.push((name, self.resolve(index)));
        }
        Ok(sorted)
    }

    fn pass<Q>(&self, index: usize, passed: &mut Passed<Q>, at: impl Fn(P) -> Q) {
        let (name, member) = &self.members[index];
        match member {
            Member::Data(place) => passed.file(name, || at(*place)),
            Member::Unread(_) => passed.count(Why::Special, name),
            Member::Hard(_) | Member::Symbolic(_) => match self.leads(index) {
                Leads::File => {}
                Leads::Folder => passed.count(Why::Again, name),
                Leads::Nowhere => passed.count(Why::Dangling, name),
            },
        }
    }

    /// The bytes that member `index` stands for; otherwise why there are none.
    fn resolve(&self, index: usize) -> Result<P, String> {
        let mut at = index;
        for _ in 0..MOST_HOPS {
            let (name, member) = &self.members[at];
            let path = match member {
                Member::Data(place) => return Ok(*place),
                Member::Unread(why) => return Err(why.clone()),
                Member::Hard(target) => inside(b"", target),
                Member::Symbolic(target) => seen_from(names::folder(name), target),
            };
            at = self.through(path.ok_or("it is a link that leads out of the archive")?)?;
        }
        Err("it is a link that leads in a circle".into())
    }

    /// What link `index` leads to.
    fn leads(&self, index: usize) -> Leads {
        let (name, member) = &self.members[index];
        if self.resolve(index).is_ok() {
            return Leads::File;
        }
        let path = match member {
            Member::Symbolic(target) => seen_from(names::folder(name), target),
            _ => None,
        };
        if path.is_some_and(|path| self.has_folder(path)) { Leads::Folder } else { Leads::Nowhere }
    }

    fn has_folder(&self, mut path: Vec<u8>) -> bool {
        path.extend((!path.is_empty()).then_some(b'/'));
        let at = self.order.partition_point(|&place| self.members[place as usize].0 < path);
        self.order.get(at).is_some_and(|&place| self.members[place as usize].0.starts_with(&path))
    }

    /// The last member of a name.
    fn find(&self, name: &[u8]) -> Option<usize> {
        let after = self.order.partition_point(|&place| self.members[place as usize].0.as_slice() <= name);
        let place = *self.order.get(after.checked_sub(1)?)? as usize;
        (self.members[place].0 == name).then_some(place)
    }

    /// The member at a path that may lead through links to folders.
    fn through(&self, mut path: Vec<u8>) -> Result<usize, String> {
        for _ in 0..MOST_HOPS {
            if let Some(found) = self.find(&path) {
                return Ok(found);
            }
            let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(slash, _)| slash);
            let step = slashes.filter_map(|slash| match self.find(&path[..slash]).map(|at| &self.members[at].1) {
                Some(Member::Symbolic(target)) => Some((slash, target)),
                _ => None,
            });
            let Some((slash, target)) = step.into_iter().next() else {
                return Err(format!("it is a link to {}, which is not in the archive", names::text(&path).shown()));
            };
            let target = [target, &path[slash..]].concat();
            path = seen_from(names::folder(&path[..slash]), &target)
                .ok_or("it is a link that leads out of the archive")?;
        }
        Err("it is a link that leads in a circle".into())
    }
}

/// Where a symbolic link that lies in `folder` leads to, from the archive's top; `None` where it leads out.
fn seen_from(folder: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    if target.starts_with(b"/") { None } else { inside(folder, target) }
}

/// A path below `folder` without `.` and `..`; `None` where it leads out. As in names, a `/` in front counts for nothing.
fn inside(folder: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in folder.split(|&byte| byte == b'/').chain(path.split(|&byte| byte == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn symbolic(target: &str) -> Member<u8> {
        Member::Symbolic(target.into())
    }

    fn resolved(members: &[(&str, Member<u8>)]) -> Vec<Result<u8, String>> {
        let members: Vec<_> = members.iter().map(|(name, member)| (name.as_bytes().to_vec(), member.clone())).collect();
        let tree = Tree::new(&members);
        (0..members.len()).map(|index| tree.resolve(index)).collect()
    }

    #[test]
    fn links_resolve_through_links_and_folders_to_their_entry() {
        let found = resolved(&[
            ("cats/1.png", Member::Data(1)),
            ("cats/2.png", Member::Hard(b"./cats/1.png".to_vec())),
            ("3.png", symbolic("cats/2.png")),
            ("dogs/4.png", symbolic("../cats/1.png")),
            ("felines", symbolic("cats")),
            ("5.png", symbolic("./felines/1.png")),
            ("6.png", Member::Hard(b"/3.png".to_vec())),
        ]);
        assert_eq!([&found[..4], &found[5..]].concat(), vec![Ok(1); 6]);
    }

    #[test]
    fn links_that_lead_nowhere_out_or_in_a_circle_say_so() {
        let members = [
            ("a/1.png", symbolic("../../x.png")),
            ("a/2.png", symbolic("/etc/x.png")),
            ("3.png", symbolic("gone.png")),
            ("4.png", symbolic("5.png")),
            ("5.png", Member::Hard(b"4.png".to_vec())),
            ("loop", symbolic("loop/on")),
            ("6.png", symbolic("loop/x.png")),
            ("7.png", Member::Unread("it is sparse".into())),
        ];
        let found: Vec<String> = resolved(&members).into_iter().map(Result::unwrap_err).collect();
        for (index, why) in [
            (0, "out of"),
            (1, "out of"),
            (2, "gone.png, which is not in"),
            (3, "circle"),
            (4, "circle"),
            (6, "circle"),
            (7, "sparse"),
        ] {
            assert!(found[index].contains(why), "{}: {}", members[index].0, found[index]);
        }
    }

    #[test]
    fn a_link_without_an_images_name_leads_to_a_folder_a_file_or_nowhere() {
        let members: Vec<(Vec<u8>, Member<u8>)> = [
            ("cats/1.png", Member::Data(1)),
            ("cats-2/1.png", Member::Data(1)),
            ("same", symbolic("cats")),
            ("file", symbolic("cats/1.png")),
            ("gone", symbolic("cat")),
        ]
        .map(|(name, member)| (name.as_bytes().to_vec(), member))
        .to_vec();
        let tree = Tree::new(&members);
        assert_eq!([2, 3, 4].map(|index| tree.leads(index)), [Leads::Folder, Leads::File, Leads::Nowhere]);
    }

    #[test]
    fn images_labels_and_the_rest_are_told_apart() {
        let data = |name: &str| (name.as_bytes().to_vec(), Member::Data(0_u8));
        let mut members: Vec<_> =
            ["1.png", "._1.png", "1.cls", "set/dataset.json", "x.txt", "a/__MACOSX/2.png", "2.PNG"].map(data).to_vec();
        members.push((b"3.png".to_vec(), symbolic("gone")));
        members.push((b"cats".to_vec(), symbolic("gone")));
        let mut passed = Passed::new();
        let sorted = Tree::new(&members).sort(&mut passed, |_| ()).unwrap();
        let names =
            |found: &Found<'_, u8>| found.iter().map(|(name, _)| names::text(name).into_owned()).collect::<Vec<_>>();
        assert_eq!(names(&sorted.images), ["1.png", "2.PNG", "3.png"]);
        assert_eq!(
            (names(&sorted.classes), names(&sorted.lists)),
            (vec!["1.cls".into()], vec!["set/dataset.json".into()])
        );
        let over = passed.finish(|()| Vec::new());
        assert!(over.hidden.unwrap().starts_with("2 hidden") && over.lines.len() == 1, "{:?}", over.lines);
        members.push(data("1.png"));
        let twice = Tree::new(&members).sort(&mut Passed::new(), |_| ()).err().unwrap();
        assert!(twice.contains("entry 1.png stands in it twice"), "{twice}");
    }

    proptest! {
        #[test]
        fn whatever_links_to_whatever_ends(
            targets in prop::collection::vec(("[a-c/.]{0,6}", any::<bool>()), 1..12),
        ) {
            let members: Vec<(Vec<u8>, Member<u8>)> = targets
                .iter()
                .enumerate()
                .map(|(i, (target, hard))| {
                    let target = target.as_bytes().to_vec();
                    let name = ["a", "b", "c", "a/b", "b/c", "c/a"][i % 6].as_bytes().to_vec();
                    (name, if *hard { Member::Hard(target) } else { Member::Symbolic(target) })
                })
                .collect();
            let tree = Tree::new(&members);
            for index in 0..members.len() {
                prop_assert!(tree.resolve(index).is_err());
                tree.leads(index);
            }
        }
    }
}
