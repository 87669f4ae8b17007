//! `/pki/NAME/log/…`: the log of issued certificates, as c2sp.org/tlog-tiles publishes logs. Its
//! bundles of entries are not published: they would show the names of devices.

use std::fmt;

/// Levels of the tree in a tile.
pub const LOG_TILE_HEIGHT: u32 = 8;
/// Hashes in a tile that is complete.
pub const LOG_TILE_WIDTH: u16 = 1 << LOG_TILE_HEIGHT;

/// The highest level of tiles: a log has fewer than 2^63 certificates.
const MAX_LEVEL: u8 = 7;
/// Groups of three digits in the number of a tile, at most.
const MAX_GROUPS: usize = 6;

/// What is published of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogItem {
    /// `checkpoint`: its signed head.
    Checkpoint,
    /// `key`: the public key that verifies the head.
    Key,
    /// `tile/L/N`, and `tile/L/N.p/W` for the first W hashes of a tile.
    Tile(LogTile),
}

/// Neighbouring hashes of one level of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogTile {
    /// The hashes are those of subtrees of 256^level certificates.
    pub level: u8,
    /// The place of the tile in its level, from 0.
    pub number: u64,
    /// How many hashes it has, 1 to 256.
    pub width: u16,
}

impl LogItem {
    /// Reads what follows `log/` in a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "checkpoint" => Some(Self::Checkpoint),
            "key" => Some(Self::Key),
            _ => Some(Self::Tile(LogTile::parse(text.strip_prefix("tile/")?)?)),
        }
    }
}

impl LogTile {
    fn parse(text: &str) -> Option<Self> {
        let (level, rest) = text.split_once('/')?;
        let level = decimal(level).and_then(|level| u8::try_from(level).ok())?;
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, u16::try_from(decimal(width)?).ok()?),
            None => (rest, LOG_TILE_WIDTH),
        };
        let is_partial = rest.len() > number.len();
        let fits = (1..LOG_TILE_WIDTH).contains(&width) || !is_partial;
        let tile = Self {
            level,
            number: numbered(number)?,
            width,
        };
        (fits && level <= MAX_LEVEL).then_some(tile)
    }
}

/// A number that has one spelling.
fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Reads a number in groups of three digits, each but the last with an `x` before it.
fn numbered(text: &str) -> Option<u64> {
    let groups = text.split('/').count();
    let mut number = 0_u64;
    for (index, group) in text.split('/').enumerate() {
        let digits = match index + 1 < groups {
            true => group.strip_prefix('x')?,
            false => group,
        };
        let is_group = digits.len() == 3 && digits.bytes().all(|digit| digit.is_ascii_digit());
        // A leading group of zeros would be another spelling.
        if !is_group || groups > MAX_GROUPS || (index == 0 && groups > 1 && digits == "000") {
            return None;
        }
        number = number * 1000 + digits.parse::<u64>().ok()?;
    }
    Some(number)
}

impl fmt::Display for LogItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::Key => f.write_str("key"),
            Self::Tile(tile) => tile.fmt(f),
        }
    }
}

impl fmt::Display for LogTile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        let mut groups = vec![self.number % 1000];
        let mut rest = self.number / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        while groups.len() > 1 {
            write!(f, "x{:03}/", groups.pop().unwrap_or_default())?;
        }
        write!(f, "{:03}", groups.pop().unwrap_or_default())?;
        match self.width {
            LOG_TILE_WIDTH => Ok(()),
            width => write!(f, ".p/{width}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tiles_are_written_as_they_are_read(
            level in 0..=MAX_LEVEL, number in 0..10_u64.pow(18), width in 1..=LOG_TILE_WIDTH,
        ) {
            let tile = LogItem::Tile(LogTile { level, number, width });
            prop_assert_eq!(LogItem::parse(&tile.to_string()), Some(tile));
        }
    }

    #[test]
    fn a_tile_has_one_path() {
        let tile = |text| LogItem::parse(text);
        let wanted = LogTile {
            level: 0,
            number: 1_234_067,
            width: LOG_TILE_WIDTH,
        };
        assert_eq!(tile("tile/0/x001/x234/067"), Some(LogItem::Tile(wanted)));
        for other in [
            "tile",
            "tile/",
            "tile/0",
            "tile/00/000",
            "tile/8/000",
            "tile/-1/000",
            "tile/0/0",
            "tile/0/x000/001",
            "tile/0/001/067",
            "tile/0/x001",
            "tile/0/+01",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/07",
            "tile/0/000.p",
            "tile/0/x001/x001/x001/x001/x001/x001/001",
            "tile/entries/000",
            "checkpoint/",
        ] {
            assert_eq!(tile(other), None, "{other}");
        }
    }
}
