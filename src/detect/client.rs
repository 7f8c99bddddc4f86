//! Who sent a request, and with which program.

use std::sync::Arc;

use super::{
    Actor, Tool,
    evidence::{LIST, name},
    redact::redacted,
};
use crate::{
    audit::{Event, IncidentKey},
    enrich::tool,
};

/// Characters of a user agent.
const USER_AGENT: usize = 512;

/// A client of the API server. Of most hits in a row it is the same: what they tell of it is made once, and they share it.
pub(super) struct Client {
    pub actor: Arc<Actor>,
    pub user_agent: Option<Arc<str>>,
    pub tool: Tool,
    /// The user agent is as it was sent.
    is_whole: bool,
    incident: Incident,
}

/// What the incident of a hit is known by, and its key.
struct Incident {
    parts: [Vec<u8>; 4],
    key: IncidentKey,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            actor: Arc::default(),
            user_agent: None,
            tool: Tool::Unknown,
            is_whole: true,
            incident: Incident::of([&[]; 4]),
        }
    }
}

impl Client {
    /// Becomes the client that sent the request which `event` is of.
    pub fn become_that_of(&mut self, event: &Event<'_>) {
        if !is_actor(event, &self.actor) {
            self.actor = Arc::new(actor(event));
        }
        // What was cut, or left out, is made anew each time.
        if !self.is_whole || event.user_agent != self.user_agent.as_deref() {
            self.user_agent = event
                .user_agent
                .map(|text| redacted(text, USER_AGENT).into());
            self.is_whole = event.user_agent == self.user_agent.as_deref();
            self.tool = tool(event.user_agent);
        }
    }

    /// As [`IncidentKey::of`]. Most hits in a row are of one incident.
    pub fn incident_key(&mut self, parts: [&[u8]; 4]) -> IncidentKey {
        if self.incident.parts != parts {
            self.incident = Incident::of(parts);
        }
        self.incident.key
    }
}

impl Incident {
    fn of(parts: [&[u8]; 4]) -> Self {
        Self {
            parts: parts.map(<[u8]>::to_vec),
            key: IncidentKey::of(&parts),
        }
    }
}

fn actor(event: &Event<'_>) -> Actor {
    let user = &event.user;
    Actor {
        username: user.username.map(name),
        uid: user.uid.map(name),
        groups: user.groups.iter().copied().take(LIST).map(name).collect(),
        impersonated: event.impersonated.map(name),
        credential_id: user.credential_id.map(name),
        pod: user.pod_name.map(name),
        node: user.node_name.map(name),
    }
}

/// Whether `actor` is made of this, and nothing of it was cut or left out.
fn is_actor(event: &Event<'_>, actor: &Actor) -> bool {
    let user = &event.user;
    let texts = [
        (user.username, &actor.username),
        (user.uid, &actor.uid),
        (event.impersonated, &actor.impersonated),
        (user.credential_id, &actor.credential_id),
        (user.pod_name, &actor.pod),
        (user.node_name, &actor.node),
    ];
    texts.iter().all(|(text, known)| *text == known.as_deref())
        && user.groups.iter().take(LIST).eq(&actor.groups)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::audit::User;

    type Texts = [Option<String>; 7];

    fn event<'v>(texts: &'v Texts, groups: &'v [String]) -> Event<'v> {
        let [username, uid, credential, pod, node, impersonated, agent] = texts;
        Event {
            user: User {
                username: username.as_deref(),
                uid: uid.as_deref(),
                groups: groups.iter().map(String::as_str).collect(),
                credential_id: credential.as_deref(),
                pod_name: pod.as_deref(),
                node_name: node.as_deref(),
            },
            impersonated: impersonated.as_deref(),
            user_agent: agent.as_deref(),
            ..Event::default()
        }
    }

    fn texts() -> impl Strategy<Value = (Texts, Vec<String>)> {
        let text = || "a|b|curl/8|A{100}kubectl|[a]{512}kubectl|[a]{512}…|[aA]{250,260}|A{90,110}…?|\\[redacted\\]|[ab]{510,514}…?";
        let few: [_; 7] = std::array::from_fn(|_| option::of(text()));
        (few, vec(text(), 0..19))
    }

    proptest! {
        #[test]
        fn who_came_before_changes_nothing(clients in vec(texts(), 1..4), again in 0_usize..4) {
            let mut client = Client::default();
            for (texts, groups) in clients.iter().chain(clients.get(again)) {
                let event = event(texts, groups);
                client.become_that_of(&event);
                let mut alone = Client::default();
                alone.become_that_of(&event);
                prop_assert_eq!(&client.actor, &alone.actor);
                prop_assert_eq!(&*client.actor, &actor(&event));
                prop_assert_eq!((&client.user_agent, client.tool), (&alone.user_agent, alone.tool));
            }
        }
    }

    /// Who calls itself what was shown of somebody else is not that client.
    #[test]
    fn a_tool_is_known_by_what_was_sent() {
        for sent in [
            "A".repeat(100) + "kubectl",
            "a".repeat(USER_AGENT) + "kubectl",
        ] {
            let agent = |text: &str| [None, None, None, None, None, None, Some(text.to_owned())];
            let mut client = Client::default();
            client.become_that_of(&event(&agent(&sent), &[]));
            assert_eq!(client.tool, Tool::Kubectl);
            let shown = client.user_agent.clone().unwrap();
            client.become_that_of(&event(&agent(&shown), &[]));
            assert_eq!(client.tool, Tool::Unknown, "{shown}");
        }
    }

    proptest! {
        #[test]
        fn the_incident_before_changes_nothing(all in vec(prop::array::uniform4("[ab]{0,2}"), 1..9)) {
            let mut client = Client::default();
            for parts in &all {
                let parts = parts.each_ref().map(String::as_bytes);
                prop_assert_eq!(client.incident_key(parts), IncidentKey::of(&parts));
            }
        }
    }

    #[test]
    fn hits_of_one_client_share_what_they_tell_of_it() {
        let texts = std::array::from_fn(|index| Some(index.to_string()));
        let groups = vec!["g".to_owned(); LIST + 1];
        let mut client = Client::default();
        client.become_that_of(&event(&texts, &groups));
        let before = client.actor.clone();
        client.become_that_of(&event(&texts, &groups));
        assert!(Arc::ptr_eq(&before, &client.actor));
    }
}
