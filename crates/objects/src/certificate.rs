//! Certificates and requests for them (RFC 2986, RFC 5280): what stands in a request, and a
//! certificate for it. Their form is the real one; a signature here is a number worked out from the
//! content, which nothing but this program accepts.

use crate::base64;

const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const BYTES: u8 = 0x04;
const NAME_OF_THING: u8 = 0x06;
const TEXT: u8 = 0x13;
const TIME: u8 = 0x17;
const LATE_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

const COMMON_NAME: &[u8] = &[85, 4, 3];
const ORGANIZATION: &[u8] = &[85, 4, 10];
/// `ecdsa-with-SHA256`
const ALGORITHM: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// A request for a certificate (PKCS #10).
#[derive(Clone, Debug)]
pub struct Request {
    /// The subject as it stands there, in DER.
    subject: Vec<u8>,
    /// The public key, in DER.
    key: Vec<u8>,
    /// The subject's attributes: object identifiers and texts.
    pub attributes: Vec<(Vec<u8>, String)>,
}

impl Request {
    /// Reads a request in PEM.
    ///
    /// # Errors
    /// In the API server's words (`pkg/apis/certificates/v1/helpers.go`).
    pub fn read(pem: &str) -> Result<Request, &'static str> {
        const BEGIN: &str = "-----BEGIN CERTIFICATE REQUEST-----";
        let wrong = "PEM block type must be CERTIFICATE REQUEST";
        let (_, rest) = pem.split_once(BEGIN).ok_or(wrong)?;
        let (body, _) = rest
            .split_once("-----END CERTIFICATE REQUEST-----")
            .ok_or(wrong)?;
        let body: String = body.split_whitespace().collect();
        let der = base64::decode(&body).map_err(|_| wrong)?;
        parse(&der).ok_or("asn1: structure error: malformed certificate request")
    }

    /// The subject's common name.
    pub fn common_name(&self) -> &str {
        let mut names = self.all(COMMON_NAME);
        names.next_back().unwrap_or("")
    }

    /// The subject's organizations.
    pub fn organizations(&self) -> impl Iterator<Item = &str> {
        self.all(ORGANIZATION)
    }

    fn all<'a>(&'a self, oid: &'static [u8]) -> impl DoubleEndedIterator<Item = &'a str> {
        let of = self.attributes.iter().filter(move |(o, _)| o == oid);
        of.map(|(_, text)| text.as_str())
    }

    /// A certificate for the request, in PEM: from and to when it is good, in seconds since the Unix
    /// epoch, for what (`client auth`, …). Its number and its signature come from `digest`.
    pub fn sign(
        &self,
        from: i64,
        to: i64,
        usages: &[&str],
        digest: impl Fn(&[u8]) -> [u8; 32],
    ) -> String {
        // A number is above zero, and its first bits are not all zero.
        let number = |of: &[u8], length: usize| {
            let mut bytes = digest(of);
            bytes[0] = bytes[0] & 0x7f | 0x01;
            element(INTEGER, bytes.get(..length).unwrap_or(&bytes))
        };
        let algorithm = element(SEQUENCE, &element(NAME_OF_THING, ALGORITHM));
        let issuer = attribute(COMMON_NAME, "kubernetes");
        let content = element(
            SEQUENCE,
            &[
                element(0xa0, &element(INTEGER, &[2])),
                number(&self.key, 16),
                algorithm.clone(),
                element(SEQUENCE, &issuer),
                element(SEQUENCE, &[time(from), time(to)].concat()),
                self.subject.clone(),
                self.key.clone(),
                element(0xa3, &element(SEQUENCE, &extensions(usages))),
            ]
            .concat(),
        );
        let half = |part: u8| number(&[&[part][..], content.as_slice()].concat(), 32);
        let signature = element(SEQUENCE, &[half(1), half(2)].concat());
        let signature = element(BITS, &[&[0][..], signature.as_slice()].concat());
        let whole = element(SEQUENCE, &[content, algorithm, signature].concat());
        let body = base64::encode(&whole);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in body.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem + "-----END CERTIFICATE-----\n"
    }
}

/// What a certificate may be used for.
fn extensions(usages: &[&str]) -> Vec<u8> {
    let extension = |oid: &[u8], critical: bool, content: &[u8]| {
        let critical = if critical {
            element(0x01, &[0xff])
        } else {
            Vec::new()
        };
        let parts = [
            element(NAME_OF_THING, oid),
            critical,
            element(BYTES, content),
        ];
        element(SEQUENCE, &parts.concat())
    };
    let has = |usage: &str| usages.contains(&usage);
    let mut bits = 0;
    for (usage, bit) in [("digital signature", 0x80), ("key encipherment", 0x20)] {
        bits |= if has(usage) { bit } else { 0 };
    }
    let mut extended = Vec::new();
    for (usage, last) in [("server auth", 1), ("client auth", 2)] {
        if has(usage) {
            let oid = [0x2b, 6, 1, 5, 5, 7, 3, last];
            extended.extend(element(NAME_OF_THING, &oid));
        }
    }
    let mut all = Vec::new();
    if bits != 0 {
        let unused = if bits & 0x20 == 0 { 7 } else { 5 };
        all.extend(extension(
            &[85, 29, 15],
            true,
            &element(BITS, &[unused, bits]),
        ));
    }
    if !extended.is_empty() {
        all.extend(extension(
            &[85, 29, 37],
            false,
            &element(SEQUENCE, &extended),
        ));
    }
    all.extend(extension(&[85, 29, 19], true, &element(SEQUENCE, &[])));
    all
}

fn attribute(oid: &[u8], text: &str) -> Vec<u8> {
    let pair = [element(NAME_OF_THING, oid), element(TEXT, text.as_bytes())];
    element(SET, &element(SEQUENCE, &pair.concat()))
}

/// `260131120000Z`, with all of the year's digits from 2050 on.
fn time(seconds: i64) -> Vec<u8> {
    let text = crate::time::format_seconds(seconds);
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let late = digits.get(..4).is_some_and(|year| year >= "2050");
    let from = if late { 0 } else { 2 };
    let shown = format!("{}Z", digits.get(from..).unwrap_or_default());
    element(if late { LATE_TIME } else { TIME }, shown.as_bytes())
}

fn parse(der: &[u8]) -> Option<Request> {
    let (request, _) = split(der)?;
    let (info, _) = split(request.content)?;
    let (_version, rest) = split(info.content)?;
    let (subject, rest) = split(rest)?;
    let (key, _) = split(rest)?;
    let mut attributes = Vec::new();
    let mut sets = subject.content;
    while let Some((set, rest)) = split(sets) {
        let (attribute, _) = split(set.content)?;
        let (oid, value) = split(attribute.content)?;
        let (text, _) = split(value)?;
        let text = String::from_utf8_lossy(text.content).into_owned();
        attributes.push((oid.content.to_vec(), text));
        sets = rest;
    }
    Some(Request {
        subject: subject.whole.to_vec(),
        key: key.whole.to_vec(),
        attributes,
    })
}

struct Element<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

/// The first element of DER (X.690) and what stands behind it.
fn split(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let length = *der.get(1)?;
    let (length, head) = if length < 128 {
        (usize::from(length), 2)
    } else {
        let count = usize::from(length & 127);
        if count > 4 {
            return None;
        }
        let bytes = der.get(2..2 + count)?;
        let length = bytes.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
        (length, 2 + count)
    };
    let end = head.checked_add(length)?;
    let found = Element {
        whole: der.get(..end)?,
        content: der.get(head..end)?,
    };
    Some((found, der.get(end..)?))
}

/// An element of DER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let bytes = length.to_be_bytes();
    let significant = &bytes[bytes
        .iter()
        .position(|b| *b != 0)
        .unwrap_or(bytes.len() - 1)..];
    let mut out = vec![tag];
    if length >= 128 {
        out.push(0x80 | significant.len() as u8);
    }
    out.extend_from_slice(significant);
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request of `CN = ada, O = dev` with an Ed25519 key.
    fn request() -> String {
        let name = [
            attribute(COMMON_NAME, "ada"),
            attribute(ORGANIZATION, "dev"),
        ]
        .concat();
        let key = element(
            SEQUENCE,
            &[
                element(SEQUENCE, &element(NAME_OF_THING, &[0x2b, 0x65, 0x70])),
                element(BITS, &[0; 33]),
            ]
            .concat(),
        );
        let info = [
            element(INTEGER, &[0]),
            element(SEQUENCE, &name),
            key,
            element(0xa0, &[]),
        ];
        let whole = element(SEQUENCE, &element(SEQUENCE, &info.concat()));
        let body = base64::encode(&whole);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
    }

    #[test]
    fn a_request_is_read_and_signed() {
        let read = Request::read(&request()).expect("a request");
        assert_eq!(read.common_name(), "ada");
        assert_eq!(read.organizations().collect::<Vec<_>>(), ["dev"]);
        let sign = |seed: u8| {
            read.sign(0, 86_400, &["client auth"], |of| {
                [of.iter().fold(seed, |sum, b| sum.wrapping_add(*b)); 32]
            })
        };
        assert_eq!(sign(1), sign(1));
        assert_ne!(sign(1), sign(2));
        let pem = sign(1);
        let body: String = pem.lines().filter(|l| !l.starts_with('-')).collect();
        let der = base64::decode(&body).expect("base64");
        let (whole, rest) = split(&der).expect("an element");
        assert!(rest.is_empty());
        let (content, rest) = split(whole.content).expect("its content");
        assert!(split(rest).is_some(), "its signature");
        let subject = element(TEXT, b"ada");
        assert!(content.content.windows(subject.len()).any(|w| w == subject));
    }

    #[test]
    fn other_texts_are_no_requests() {
        for text in [
            "",
            "x",
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
        ] {
            assert!(Request::read(text).is_err(), "{text}");
        }
    }
}
