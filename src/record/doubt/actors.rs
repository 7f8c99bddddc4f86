//! Who did something, by what stands around an event that does not tell it.

use simd_json::{prelude::*, tape::Object};

use crate::{
    audit::{Json, gke},
    record::{key::is, restored::is_of_pod, unwrap::lifted},
};

/// How words begin, in small letters, that in a key tell who did something.
const ACTORS: [&str; 6] = ["user", "usr", "actor", "principal", "identity", "subject"];

/// Keys of an object that are looked at for them, names in what stands under them, levels of that, and bytes of a name: none of a
/// ServiceAccount is longer. All names are looked at again for each event of nobody.
const MAX_KEYS: usize = 64;
pub const MAX_NAMES: usize = 64;
const MAX_ACTOR_DEPTH: usize = 2;
const MAX_NAME_BYTES: usize = 512;

/// The names in `object` under keys that say who did something, and the keys right before them.
pub fn names<'v>(object: &Object<'v, 'v>) -> Vec<(&'v str, &'v str)> {
    let mut names = Vec::new();
    let keys = object.iter().take(MAX_KEYS);
    for (key, value) in keys.filter(|(key, _)| says_who(key)) {
        add_names(key, value, 0, &mut names);
    }
    names
}

/// Whether one of the words in `key` is such a word. Whoever makes a pod chooses its labels; in what Google makes of an event stand bodies.
fn says_who(key: &str) -> bool {
    let begins = |word: &str, actor: &&str| {
        let head = word.get(..actor.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(actor))
    };
    let mut words = key.split(['.', '_', '-', '/']);
    let is_of_payload = || key.split('.').any(|key| gke::PAYLOADS.contains(&key));
    !is_of_pod(key)
        && !is_of_payload()
        && words.any(|word| ACTORS.iter().any(|actor| begins(word, actor)))
}

/// Adds the names in `value`, which stands under `key`, without texts of clients.
fn add_names<'v>(key: &'v str, value: Json<'v>, depth: usize, names: &mut Vec<(&'v str, &'v str)>) {
    // `user` may hold an `agent`, too.
    let is_of_client = lifted::is_of_client(key) || key.split('.').any(|key| is(key, "agent"));
    if is_of_client || names.len() == MAX_NAMES {
        return;
    }
    if let Some(name) = value.into_string() {
        names.extend(Some((key, name)).filter(|_| name.len() <= MAX_NAME_BYTES));
    } else if let Some(object) = value.as_object().filter(|_| depth < MAX_ACTOR_DEPTH) {
        let inner = object.iter().take(MAX_KEYS);
        inner.for_each(|(key, value)| add_names(key, value, depth + 1, names));
    } else if let Some(array) = value.as_array().filter(|_| depth < MAX_ACTOR_DEPTH) {
        let items = array.iter().take(MAX_KEYS);
        items.for_each(|item| add_names(key, item, depth + 1, names));
    }
}
