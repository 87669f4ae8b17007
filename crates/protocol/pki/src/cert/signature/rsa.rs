//! RSA keys as numbers: their length, and what makes one weak.
//!
//! Looked for are exponents that are even or 1, moduli with a small factor, and moduli of the form
//! that Infineon's library made until 2017 (ROCA, CVE-2017-15361). Lists of keys that Debian's
//! OpenSSL could make in 2006 to 2008 are not kept: those keys have at most 2048 bits, and devices
//! of that age do not speak TLS 1.2.

use std::fmt;

use super::{SubjectKey, read};

/// Why others can find the private half of an RSA key, or do without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaWeakness {
    /// The public exponent is even or 1.
    Exponent,
    /// The modulus has a prime factor of at most 167.
    SmallFactor,
    /// The modulus has the form of CVE-2017-15361 (ROCA).
    Roca,
}

impl fmt::Display for RsaWeakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exponent => "its public exponent is even or 1",
            Self::SmallFactor => "its modulus has a small prime factor",
            Self::Roca => {
                "its modulus has the form that Infineon chips made until 2017 (ROCA, \
                 CVE-2017-15361)"
            }
        })
    }
}

/// The odd primes of the test, in groups whose products fit into 32 bits.
const PRIMES: [&[u32]; 9] = [
    &[3, 5, 7, 11, 13, 17, 19, 23, 29],
    &[31, 37, 41, 43, 47],
    &[53, 59, 61, 67, 71],
    &[73, 79, 83, 89],
    &[97, 101, 103, 107],
    &[109, 113, 127, 131],
    &[137, 139, 149, 151],
    &[157, 163],
    &[167],
];

/// The generator of the subgroups in which ROCA's moduli lie.
const GENERATOR: u32 = 65_537;

/// A public key, RSAPublicKey ::= SEQUENCE { modulus, publicExponent } (RFC 8017, A.1.1), both
/// without leading zeros.
struct RsaKey<'a> {
    modulus: &'a [u8],
    exponent: &'a [u8],
}

impl<'a> RsaKey<'a> {
    fn parse(bits: &'a [u8]) -> Option<Self> {
        let (key, _) = read(bits)?;
        let (modulus, rest) = read(key.content)?;
        let (exponent, _) = read(rest)?;
        Some(Self {
            modulus: without_zeros(modulus.content),
            exponent: without_zeros(exponent.content),
        })
    }
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

impl SubjectKey<'_> {
    /// The length of the modulus in bits; `None` when it is not an RSA key.
    pub(crate) fn rsa_bits(self) -> Option<usize> {
        if !self.is_rsa() {
            return None;
        }
        let key = RsaKey::parse(self.bits)?;
        let unused = key.modulus.first()?.leading_zeros();
        (key.modulus.len() * 8).checked_sub(usize::try_from(unused).ok()?)
    }

    /// What makes its signatures worthless; `None` for other kinds of key, too.
    pub(crate) fn rsa_weakness(self) -> Option<RsaWeakness> {
        if !self.is_rsa() {
            return None;
        }
        RsaKey::parse(self.bits)?.weakness()
    }
}

impl RsaKey<'_> {
    fn weakness(&self) -> Option<RsaWeakness> {
        let is_odd = self.exponent.last().is_some_and(|last| last % 2 == 1);
        if !is_odd || self.exponent == [1] {
            return Some(RsaWeakness::Exponent);
        }
        modulus_weakness(self.modulus)
    }
}

fn modulus_weakness(modulus: &[u8]) -> Option<RsaWeakness> {
    if modulus.last().is_none_or(|last| last % 2 == 0) {
        return Some(RsaWeakness::SmallFactor);
    }
    let mut has_roca_form = true;
    for group in PRIMES {
        let product: u32 = group.iter().product();
        let remainder = remainder(modulus, product);
        for &prime in group {
            let residue = remainder % prime;
            if residue == 0 {
                return Some(RsaWeakness::SmallFactor);
            }
            has_roca_form = has_roca_form && is_power(residue, prime);
        }
    }
    has_roca_form.then_some(RsaWeakness::Roca)
}

/// The remainder of a number in big-endian bytes.
fn remainder(number: &[u8], divisor: u32) -> u32 {
    let divisor = u64::from(divisor);
    let (head, words) = number.as_rchunks::<4>();
    let head = head.iter().fold(0, |sum, b| sum << 8 | u64::from(*b)) % divisor;
    let all = words.iter().fold(head, |sum, word| {
        (sum << 32 | u64::from(u32::from_be_bytes(*word))) % divisor
    });
    // Smaller than the divisor, which has 32 bits.
    u32::try_from(all).unwrap_or_default()
}

/// Whether `residue` is a power of the generator modulo `prime`.
fn is_power(residue: u32, prime: u32) -> bool {
    let mut power = 1;
    loop {
        if power == residue {
            return true;
        }
        power = power * GENERATOR % prime;
        if power == 1 {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainders_are_those_of_arithmetic() {
        let number = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        let value = number
            .iter()
            .fold(0_u128, |sum, b| sum << 8 | u128::from(*b));
        for divisor in [3, 167, 65_537, 3_234_846_615] {
            let expected = value % u128::from(divisor);
            assert_eq!(u128::from(remainder(&number, divisor)), expected);
        }
    }

    #[test]
    fn exponents_are_odd_and_not_1() {
        // 2^61 - 1 is prime, and 65537 does not make it.
        let modulus = &[0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..];
        let weakness = |exponent: &[u8]| RsaKey { modulus, exponent }.weakness();
        for weak in [&[][..], &[1], &[2], &[1, 0, 0]] {
            assert_eq!(weakness(weak), Some(RsaWeakness::Exponent), "{weak:?}");
        }
        for usual in [&[3][..], &[1, 0, 1]] {
            assert_eq!(weakness(usual), None, "{usual:?}");
        }
    }

    #[test]
    fn groups_fit_and_name_the_primes_up_to_167() {
        let is_prime = |n: &u32| (2..*n).all(|divisor| !n.is_multiple_of(divisor));
        let expected: Vec<u32> = (3..=167).filter(is_prime).collect();
        assert_eq!(PRIMES.concat(), expected);
        for group in PRIMES {
            let product = group.iter().try_fold(1_u32, |all, p| all.checked_mul(*p));
            assert!(product.is_some(), "{group:?}");
        }
    }

    #[test]
    fn powers_of_the_generator_have_the_weak_form() {
        // 65537^200 modulo 2^4096: the low bits decide nothing, so build the number itself.
        let mut number = vec![1_u8];
        for _ in 0..200 {
            let shifted: Vec<u8> = number.iter().copied().chain([0, 0]).collect();
            number = add(&shifted, &number);
        }
        assert_eq!(modulus_weakness(&number), Some(RsaWeakness::Roca));
        let next = add(&number, &[2]);
        assert_ne!(modulus_weakness(&next), Some(RsaWeakness::Roca));
    }

    fn add(a: &[u8], b: &[u8]) -> Vec<u8> {
        let mut sum = Vec::new();
        let mut carry = 0;
        let (mut a, mut b) = (a.iter().rev(), b.iter().rev());
        loop {
            let (x, y) = (a.next(), b.next());
            if x.is_none() && y.is_none() && carry == 0 {
                break;
            }
            let total = u16::from(*x.unwrap_or(&0)) + u16::from(*y.unwrap_or(&0)) + carry;
            sum.push(total.to_le_bytes()[0]);
            carry = total >> 8;
        }
        sum.reverse();
        sum
    }
}
