//! The program behind a user agent, as far as the user agent tells.

use crate::detect::Tool;

/// Marks of known programs, in lower case, the telling before the general: an attack
/// tool that carries Go's client library names both.
const MARKS: [(&str, Tool); 20] = [
    ("peirates", Tool::Peirates),
    ("kubeletctl", Tool::Kubeletctl),
    ("stratus-red-team", Tool::Stratus),
    ("stratus", Tool::Stratus),
    ("kubectl", Tool::Kubectl),
    ("curl/", Tool::Curl),
    ("libcurl", Tool::Curl),
    ("python-requests", Tool::Python),
    ("python-urllib", Tool::Python),
    ("openapi-generator/", Tool::Python),
    ("aiohttp/", Tool::Python),
    ("python-httpx", Tool::Python),
    ("python/", Tool::Python),
    ("go-http-client", Tool::GoClient),
    ("client-go", Tool::GoClient),
    ("mozilla/", Tool::Browser),
    ("opera/", Tool::Browser),
    ("kubernetes/$format", Tool::GoClient),
    ("(linux/", Tool::GoClient),
    ("(darwin/", Tool::GoClient),
];

/// Names the tool. Whoever lies about the user agent is believed: this is a hint for
/// the reader, never a ground for a decision.
pub fn tool(user_agent: Option<&str>) -> Tool {
    let Some(user_agent) = user_agent else {
        return Tool::Unknown;
    };
    let user_agent = user_agent.to_ascii_lowercase();
    MARKS
        .iter()
        .find(|(mark, _)| user_agent.contains(mark))
        .map_or(Tool::Unknown, |(_, tool)| *tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_known_by_their_user_agents() {
        for (user_agent, expected) in [
            (
                "kubectl/v1.37.2 (linux/amd64) kubernetes/1a2b3c4",
                Tool::Kubectl,
            ),
            ("curl/8.5.0", Tool::Curl),
            ("python-requests/2.31.0", Tool::Python),
            ("OpenAPI-Generator/29.0.0/python", Tool::Python),
            ("Go-http-client/2.0", Tool::GoClient),
            (
                "implant/v0.0.0 (linux/amd64) kubernetes/$Format",
                Tool::GoClient,
            ),
            (
                "peirates/v1.1 (linux/amd64) kubernetes/$Format",
                Tool::Peirates,
            ),
            ("kubeletctl/v1.11", Tool::Kubeletctl),
            (
                "stratus-red-team_83c9a458-ffab-4d43-8b02-9691311e8c0a",
                Tool::Stratus,
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
                Tool::Browser,
            ),
            ("", Tool::Unknown),
            ("evil", Tool::Unknown),
        ] {
            assert_eq!(tool(Some(user_agent)), expected, "{user_agent}");
        }
        assert_eq!(tool(None), Tool::Unknown);
    }
}
