use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Where the next page of a listing starts. Opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation(String);

impl Continuation {
    /// Parses what an earlier page handed out.
    ///
    /// # Errors
    /// When the text was not handed out by [`Display`](std::fmt::Display) of this type.
    pub fn parse(text: &str) -> Result<Self, BadContinuation> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadContinuation)?;
        String::from_utf8(bytes)
            .map(Self)
            .map_err(|_| BadContinuation)
    }

    /// After the item of this key.
    pub fn after(key: &str) -> Self {
        Self(key.to_owned())
    }

    /// The key of the last item before.
    pub fn key(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Continuation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

/// A continuation that no page handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the continuation is not one that this service handed out")]
pub struct BadContinuation;

/// Which part of a listing is wanted. Listings are ordered by id, those of registrations by age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Where the page before ended; `None` for the first one.
    pub after: Option<Continuation>,
    /// How many items at most; clamped to 1 to 1000.
    pub limit: usize,
}

impl PageRequest {
    /// The first `limit` items.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self { after: None, limit }
    }

    /// How many items at most.
    pub fn limit(&self) -> usize {
        self.limit.clamp(1, 1000)
    }

    /// The key of the last item before; empty for the first page.
    pub fn key(&self) -> &str {
        self.after.as_ref().map_or("", Continuation::key)
    }
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the listing's order.
    pub items: Vec<T>,
    /// Where the next page starts; `None` when this one is the last.
    pub continuation: Option<Continuation>,
}

impl<T> Page<T> {
    /// Makes a page of what was read; `more` says that there is another one.
    pub fn of(items: Vec<T>, more: bool, after: impl FnOnce(&T) -> Continuation) -> Self {
        let continuation = items.last().filter(|_| more).map(after);
        Self {
            items,
            continuation,
        }
    }

    /// Makes a page of up to `limit + 1` items that were read: one more than `limit` says that
    /// there is another page.
    pub fn cut(mut items: Vec<T>, limit: usize, after: impl FnOnce(&T) -> Continuation) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let continuation = items.last().filter(|_| more).map(after);
        Self {
            items,
            continuation,
        }
    }

    /// The same page of what becomes of its items; some may be left out, which does
    /// not move its end.
    pub fn keep<U>(self, become_one: impl FnMut(T) -> Option<U>) -> Page<U> {
        Page {
            items: self.items.into_iter().filter_map(become_one).collect(),
            continuation: self.continuation,
        }
    }

    /// Like [`keep`](Self::keep), ended by an error.
    pub fn try_keep<U, E>(
        self,
        mut become_one: impl FnMut(T) -> Result<Option<U>, E>,
    ) -> Result<Page<U>, E> {
        let items = self.items.into_iter();
        Ok(Page {
            items: items
                .filter_map(|item| become_one(item).transpose())
                .collect::<Result<_, E>>()?,
            continuation: self.continuation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continuation_survives_the_way_to_a_client_and_back() {
        let continuation = Continuation::after("dév/ice");
        assert_eq!(
            Continuation::parse(&continuation.to_string()),
            Ok(continuation)
        );
        assert_eq!(Continuation::parse("not base64!"), Err(BadContinuation));
    }
}
