//! What a receiver says, without what it must not repeat.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Url;

use crate::{audit::uri::percent_decoded, format::visible};

/// Characters of an answer that are shown.
const SHOWN: usize = 200;

/// What is shorter is no secret, and could stand in any text.
const SHORTEST: usize = 4;

/// A part of a path that is shorter is taken for a word, such as `alerts`.
const SHORTEST_OF_PATH: usize = 8;

/// So is a part of a header that is shorter, such as `Basic`.
const SHORTEST_OF_HEADER: usize = 6;

/// Texts that stand in no log and in no error. Error pages like to repeat what they were asked for.
#[derive(Clone, Default)]
pub(in crate::sink) struct Redacted(Vec<String>);

impl Redacted {
    /// Everything of a URL whose path is a secret.
    pub fn secret_url(url: &Url) -> Self {
        let mut secrets = Self::default();
        secrets.add_parts(url, SHORTEST);
        secrets
    }

    /// Of a URL its user, its password, its query, and those parts of its path that look like a secret.
    pub fn add_url(&mut self, url: &Url) {
        self.add_parts(url, SHORTEST_OF_PATH);
    }

    pub fn add(&mut self, secret: &str) {
        self.0.push(secret.to_owned());
    }

    /// What a header holds, and each of its words: of `Bearer s3cr3t` or `key=s3cr3t` a receiver may repeat the end alone.
    pub fn add_header(&mut self, value: &str) {
        let is_space = |char: char| char.is_whitespace() || char == ':';
        let words = value.split(is_space);
        let parts = value.split(|char| is_space(char) || matches!(char, '=' | ',' | ';' | '"'));
        let all = words
            .chain(parts)
            .filter(|word| word.len() >= SHORTEST_OF_HEADER);
        self.0.extend(all.map(str::to_owned));
        self.add(value.trim());
    }

    /// What HTTP makes of a name and its password, and they themselves.
    pub fn add_user(&mut self, user: &str, password: &str) {
        let pair = format!("{user}:{password}");
        let encoded = STANDARD.encode(&pair);
        self.add(encoded.trim_end_matches('='));
        self.0.extend([encoded, pair]);
        self.add(password);
    }

    fn add_parts(&mut self, url: &Url, shortest: usize) {
        let parts = url.path_segments().into_iter().flatten();
        for part in parts.filter(|part| part.len() >= shortest) {
            self.add_escaped(part);
        }
        for pair in url.query().into_iter().flat_map(|query| query.split('&')) {
            let value = pair.split_once('=').map_or(pair, |(_, value)| value);
            self.add_escaped(value);
            self.add_escaped(&value.replace('+', " "));
        }
        let (user, password) = (url.username(), url.password().unwrap_or_default());
        if !user.is_empty() || !password.is_empty() {
            self.add_escaped(user);
            self.add_escaped(password);
            self.add_user(&percent_decoded(user), &percent_decoded(password));
        }
        let whole = [url.as_str(), url.path()].into_iter().chain(url.query());
        self.0.extend(whole.map(str::to_owned));
    }

    /// As it stands in a URL, and as it was meant.
    fn add_escaped(&mut self, text: &str) {
        self.add(text);
        self.0.push(percent_decoded(text).into_owned());
    }

    /// `text` fit for the log: neutralised, cut, and each secret taken out.
    pub fn show(&self, text: &str) -> String {
        // The longest first, or a part of it would be found before the whole.
        let mut secrets: Vec<&String> = self
            .0
            .iter()
            .filter(|secret| secret.len() >= SHORTEST)
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let text = secrets.iter().fold(text.to_string(), |text, secret| {
            text.replace(secret.as_str(), "****")
        });
        visible(&text, SHOWN).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_in_whatever_form_they_are_repeated() {
        let url = "https://us%65rname:pa%2Fss%2Bword@siem.example/in?key=v4l%2Fu%2Be+x&s3cr3tFlag";
        let mut redacted = Redacted::default();
        redacted.add_url(&Url::parse(url).unwrap());
        redacted.add_header("Splunk 1234-5678-9abc");
        redacted.add_header("user:hunter22 token=t0ps3cret");
        for said in [
            "us%65rname",
            "username",
            "pa%2Fss%2Bword",
            "pa/ss+word",
            &STANDARD.encode("username:pa/ss+word"),
            STANDARD.encode("username:pa/ss+word").trim_end_matches('='),
            "v4l%2Fu%2Be+x",
            "v4l/u+e+x",
            "v4l/u+e x",
            "s3cr3tFlag",
            "1234-5678-9abc",
            "hunter22",
            "t0ps3cret",
        ] {
            let shown = redacted.show(&format!("not <{said}>"));
            assert_eq!(shown, "not <****>", "{said}");
        }
        assert_eq!(redacted.show("user token, 100%"), "user token, 100%");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
    }

    #[test]
    fn what_a_receiver_says_is_shown_without_the_url_and_without_tricks() {
        let url = "https://u5er:pa55@hooks.example/services/T0AB/B0CD/s3cr3t?k=v4lue";
        let redacted = Redacted::secret_url(&Url::parse(url).unwrap());
        let said = "no route\x1b[2J to /services/T0AB/B0CD/s3cr3t or B0CD, k=v4lue, u5er:pa55";
        assert_eq!(
            redacted.show(said),
            r"no route\u{1b}[2J to **** or ****, ****, ****"
        );
        assert_eq!(redacted.show(&"x".repeat(5_000)).chars().count(), SHOWN);
    }

    #[test]
    fn words_of_a_path_that_is_no_secret_stay() {
        let url = "https://siem.example/api/v2/alerts/9f86d081884c?key=v4lue";
        let mut redacted = Redacted::default();
        redacted.add_url(&Url::parse(url).unwrap());
        redacted.add("s3cr3t");
        assert_eq!(
            redacted.show(
                "no alerts for 9f86d081884c with v4lue, s3cr3t: POST /api/v2/alerts/9f86d081884c"
            ),
            "no alerts for **** with ****, ****: POST ****"
        );
    }
}
