//! What a piece of DER is, told by its outermost elements: enough to name it, and to leave the rest to the
//! library that signs.

/// What some bytes are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What {
    /// `PrivateKeyInfo` (RFC 5208 §5) of an RSA key with a modulus of so many bits.
    Pkcs8(usize),
    /// `RSAPrivateKey` (RFC 8017 A.1.2) with a modulus of so many bits.
    Pkcs1(usize),
    /// Something else, in words that follow "it is".
    Other(&'static str),
    /// The first bytes speak of `need` bytes in all, and there are `have`.
    Length { have: usize, need: usize },
    /// Not DER that anybody would have in the place of a key.
    Unknown,
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// `rsaEncryption` (RFC 8017 A.1), and what else is met in a PKCS#8.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const ALGORITHMS: &[(&[u8], &str)] = &[
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10],
        "an RSA-PSS key, and Coze takes RS256 only",
    ),
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1],
        "an EC key and not an RSA key; Coze takes RS256 only",
    ),
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1],
        "a DSA key and not an RSA key; Coze takes RS256 only",
    ),
    (
        &[0x2b, 0x65, 0x70],
        "an Ed25519 key and not an RSA key; Coze takes RS256 only",
    ),
];

pub(super) fn what(bytes: &[u8]) -> What {
    let Some((SEQUENCE, start, length)) = head(bytes) else {
        return What::Unknown;
    };
    let need = start.saturating_add(length);
    if need != bytes.len() {
        let have = bytes.len();
        return What::Length { have, need };
    }
    let parts: Vec<(u8, &[u8])> = Elements(&bytes[start..]).collect();
    let tags: Vec<u8> = parts.iter().map(|(tag, _)| *tag).collect();
    match tags[..] {
        [INTEGER, SEQUENCE, OCTET_STRING, ..] => {
            let algorithm = first(parts[1].1, OID);
            match algorithm {
                Some(RSA) => modulus(parts[2].1).map_or(What::Unknown, What::Pkcs8),
                _ => What::Other(
                    ALGORITHMS
                        .iter()
                        .find(|(oid, _)| Some(*oid) == algorithm)
                        .map_or(
                            "not an RSA key, or it is damaged; Coze takes RS256 only",
                            |(_, name)| name,
                        ),
                ),
            }
        }
        [INTEGER, .., SEQUENCE] if tags.len() == 10 => {
            What::Other("a key of more than two primes, which cannot be used")
        }
        // Version, modulus and seven numbers more.
        [
            INTEGER,
            INTEGER,
            INTEGER,
            INTEGER,
            INTEGER,
            INTEGER,
            INTEGER,
            INTEGER,
            INTEGER,
            ..,
        ] => What::Pkcs1(bits(parts[1].1)),
        [INTEGER, INTEGER] | [SEQUENCE, BIT_STRING] => What::Other(super::pem::PUBLIC),
        [SEQUENCE, OCTET_STRING] => What::Other(super::pem::ENCRYPTED),
        [INTEGER, OCTET_STRING, ..] => What::Other(super::pem::EC),
        [SEQUENCE, SEQUENCE, BIT_STRING] => match head(parts[0].1) {
            Some((INTEGER, ..)) => What::Other(super::pem::REQUEST),
            _ => What::Other(super::pem::CERTIFICATE),
        },
        [INTEGER, SEQUENCE] | [INTEGER, SEQUENCE, SEQUENCE] => What::Other(
            "a PKCS#12 file; openssl pkcs12 -nocerts -nodes -in key.p12 takes the key out",
        ),
        _ => What::Unknown,
    }
}

/// The modulus of an `RSAPrivateKey`, in bits.
fn modulus(key: &[u8]) -> Option<usize> {
    let (_, content) = Elements(key).next()?;
    let (tag, number) = Elements(content).nth(1)?;
    (tag == INTEGER).then(|| bits(number))
}

fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros..];
    number
        .first()
        .map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

/// The content of the first element, if it has this tag.
fn first(bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    let (tag, content) = Elements(bytes).next()?;
    (tag == wanted).then_some(content)
}

/// The elements of a constructed one, as tag and content, up to the first that is not whole.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, start, length) = head(self.0)?;
        let content = self.0.get(start..start.checked_add(length)?)?;
        self.0 = &self.0[start + length..];
        Some((tag, content))
    }
}

/// Tag, length of the head, length of the content (X.690 §8.1).
fn head(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (tag, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    match length {
        0..=0x7f => Some((*tag, 2, usize::from(*length))),
        0x81..=0x84 => {
            let more = usize::from(*length & 0x7f);
            let length = rest.get(..more)?.iter();
            Some((
                *tag,
                2 + more,
                length.fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            ))
        }
        _ => None,
    }
}
