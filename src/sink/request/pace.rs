//! How often requests are made.

use tokio::time::{Instant, sleep};

use super::RateLimit;

/// At most so many requests in a window, which begins with the first of them.
pub(super) struct Pace {
    limit: RateLimit,
    began: Option<Instant>,
    sent: u64,
}

impl Pace {
    pub fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            began: None,
            sent: 0,
        }
    }

    /// Waits until one more request is allowed, and counts it.
    pub async fn wait(&mut self) {
        let RateLimit {
            num: Some(most),
            duration: window,
        } = self.limit
        else {
            return;
        };
        if let Some(began) = self.began
            && self.sent >= most
        {
            sleep(window.saturating_sub(began.elapsed())).await;
        }
        let now = Instant::now();
        if self
            .began
            .is_none_or(|began| now.duration_since(began) >= window)
        {
            self.began = Some(now);
            self.sent = 0;
        }
        self.sent += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Milliseconds until seven requests were allowed.
    async fn of_seven(num: Option<u64>) -> u128 {
        let duration = Duration::from_millis(100);
        let mut pace = Pace::new(RateLimit { num, duration });
        let began = Instant::now();
        for _ in 0..7 {
            pace.wait().await;
        }
        began.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_takes_so_many_and_no_more() {
        assert_eq!(of_seven(Some(3)).await / 10, 20);
        assert_eq!(of_seven(Some(7)).await, 0);
        assert_eq!(of_seven(None).await, 0);
    }
}
