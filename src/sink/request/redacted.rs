//! What a receiver says, without what it must not repeat.

use reqwest::Url;

use crate::format::visible;

/// Characters of an answer that are shown.
const SHOWN: usize = 200;

/// What is shorter is no secret, and could stand in any text.
const SHORTEST: usize = 4;

/// A part of a path that is shorter is taken for a word, such as `alerts`.
const SHORTEST_OF_PATH: usize = 8;

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

    fn add_parts(&mut self, url: &Url, shortest: usize) {
        let parts = url.path_segments().into_iter().flatten();
        let parts = parts.filter(|part| part.len() >= shortest);
        self.0.extend(parts.map(str::to_owned));
        self.0
            .extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        let whole = [url.as_str(), url.path(), url.username()];
        let rest = whole.into_iter().chain(url.query()).chain(url.password());
        self.0.extend(rest.map(str::to_owned));
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
    fn what_a_receiver_says_is_shown_without_the_url_and_without_tricks() {
        let url = "https://u5er:pa55@hooks.example/services/T0AB/B0CD/s3cr3t?k=v4lue";
        let redacted = Redacted::secret_url(&Url::parse(url).unwrap());
        let said = "no route\x1b[2J to /services/T0AB/B0CD/s3cr3t or B0CD, k=v4lue, u5er:pa55";
        assert_eq!(
            redacted.show(said),
            r"no route\u{1b}[2J to **** or ****, ****, ****:****"
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
