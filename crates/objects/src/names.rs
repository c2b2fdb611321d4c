//! Names: what may be one, how the API server says that something may not, and how names are made.
//! Source: k8s.io/apimachinery/pkg/util/validation and apiserver/pkg/storage/names, v0.37.

const LABEL_FORM: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const DNS_1035_FORM: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_FORM: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const QUALIFIED_FORM: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE_FORM: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";

/// Complaints about one name; none means that it is right.
pub type Complaints = Vec<String>;

/// A complaint with examples and the regular expression.
fn form_error(message: &str, form: &str, examples: &[&str]) -> String {
    let examples = examples
        .iter()
        .map(|e| format!("'{e}', "))
        .collect::<Vec<_>>()
        .join(" or ");
    format!("{message} (e.g. {examples}regex used for validation is '{form}')")
}

/// `must be no more than N characters`
pub fn too_long(most: usize) -> String {
    format!("must be no more than {most} characters")
}

/// The same in the words of the newer checks, those of label keys and values.
fn too_many_bytes(most: usize) -> String {
    format!("must be no more than {most} bytes")
}

fn lower_or_digit(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn edges(s: &str, edge: impl Fn(u8) -> bool, middle: impl Fn(u8) -> bool) -> bool {
    let bytes = s.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            edge(*first) && edge(*last) && bytes.iter().all(|b| middle(*b) || edge(*b))
        }
        _ => false,
    }
}

fn is_label_form(s: &str) -> bool {
    edges(s, lower_or_digit, |b| b == b'-')
}

fn is_subdomain_form(s: &str) -> bool {
    s.split('.').all(is_label_form)
}

fn is_qualified_form(s: &str) -> bool {
    edges(
        s,
        |b| b.is_ascii_alphanumeric(),
        |b| matches!(b, b'-' | b'_' | b'.'),
    )
}

/// A DNS label after RFC 1123: names of namespaces, containers, ports.
pub fn dns1123_label(s: &str) -> Complaints {
    let mut out = Vec::new();
    if s.len() > 63 {
        out.push(too_long(63));
    }
    if !is_label_form(s) {
        let message = if is_subdomain_form(s) && !s.is_empty() {
            // A name with dots is the usual mistake, and gets the shorter hint.
            "must not contain dots".to_string()
        } else {
            form_error(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
                LABEL_FORM,
                &["my-name", "123-abc"],
            )
        };
        out.push(message);
    }
    out
}

/// The same as declarative validation words it (`k8s-short-name`): it counts bytes.
pub fn short_name(s: &str) -> Complaints {
    let mut all = dns1123_label(s);
    if s.len() > 63 {
        all[0] = "must be no more than 63 bytes".to_string();
    }
    all
}

/// A DNS subdomain after RFC 1123: names of most objects.
pub fn dns1123_subdomain(s: &str) -> Complaints {
    let mut out = Vec::new();
    if s.len() > 253 {
        out.push(too_long(253));
    }
    if !is_subdomain_form(s) {
        out.push(form_error(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            SUBDOMAIN_FORM,
            &["example.com"],
        ));
    }
    out
}

/// The same, but labels may hold underscores and begin with one: search domains of resolvers.
pub fn dns1123_subdomain_with_underscore(s: &str) -> Complaints {
    let mut out = Vec::new();
    if s.len() > 253 {
        out.push(too_long(253));
    }
    let label = |part: &str| {
        edges(
            part.strip_prefix('_').unwrap_or(part),
            lower_or_digit,
            |b| matches!(b, b'-' | b'_'),
        )
    };
    if !s.split('.').all(label) {
        out.push(form_error(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
            r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*",
            &["example.com"],
        ));
    }
    out
}

/// A DNS label that starts with a letter, after RFC 1035: names of Services.
pub fn dns1035_label(s: &str) -> Complaints {
    let mut out = Vec::new();
    if s.len() > 63 {
        out.push(too_long(63));
    }
    if !(is_label_form(s) && s.as_bytes().first().is_some_and(u8::is_ascii_lowercase)) {
        out.push(form_error(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
            DNS_1035_FORM,
            &["my-name", "abc-123"],
        ));
    }
    out
}

/// `*.example.com`
pub fn wildcard_dns1123_subdomain(s: &str) -> Complaints {
    if s.len() <= 253 && s.strip_prefix("*.").is_some_and(is_subdomain_form) {
        return Vec::new();
    }
    let mut out = Vec::new();
    if s.len() > 253 {
        out.push(too_long(253));
    }
    out.push(form_error(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        r"\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
        &["*.example.com"],
    ));
    out
}

/// `name` or `prefix/name`: label and annotation keys, taint keys, finalizers.
pub fn qualified_name(s: &str) -> Complaints {
    let mut out = Vec::new();
    let name = match s.split('/').collect::<Vec<_>>()[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                out.push("prefix part must be non-empty".to_string());
            } else {
                out.extend(dns1123_subdomain(prefix).into_iter().map(|m| {
                    format!(
                        "prefix part {}",
                        m.replace(&too_long(253), &too_many_bytes(253))
                    )
                }));
            }
            name
        }
        _ => {
            let message = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
            out.push(
                form_error(message, QUALIFIED_FORM, &["MyName", "my.name", "123-abc"])
                    + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
            );
            return out;
        }
    };
    if name.is_empty() {
        out.push("name part must be non-empty".to_string());
    } else if name.len() > 63 {
        out.push(format!("name part {}", too_many_bytes(63)));
    }
    if !is_qualified_form(name) {
        out.push(form_error(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            QUALIFIED_FORM,
            &["MyName", "my.name", "123-abc"],
        ));
    }
    out
}

/// A label's value.
pub fn label_value(s: &str) -> Complaints {
    let mut out = Vec::new();
    if s.len() > 63 {
        out.push(too_many_bytes(63));
    }
    if !s.is_empty() && !is_qualified_form(s) {
        out.push(form_error(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            LABEL_VALUE_FORM,
            &["MyValue", "my_value", "12345"],
        ));
    }
    out
}

/// A name's start as the API server looks at it: a dash at its end counts as a letter
/// (`maskTrailingDash`).
pub fn masked_dash(s: &str) -> String {
    match s.strip_suffix('-').filter(|rest| !rest.is_empty()) {
        Some(rest) => format!("{rest}a"),
        None => s.to_owned(),
    }
}

/// A name that is one segment of a path: names of RBAC objects.
pub fn path_segment(s: &str) -> Complaints {
    if s == "." || s == ".." {
        return vec![format!("may not be '{s}'")];
    }
    let illegal = ['/', '%'].into_iter().filter(|c| s.contains(*c));
    illegal.map(|c| format!("may not contain '{c}'")).collect()
}

/// A key of a ConfigMap or Secret.
pub fn config_map_key(s: &str) -> Complaints {
    let mut out = Vec::new();
    if s.len() > 253 {
        out.push(too_long(253));
    }
    if s.is_empty()
        || !s
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    {
        out.push(form_error(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match s {
        "." => out.push("must not be '.'".to_string()),
        ".." => out.push("must not be '..'".to_string()),
        _ if s.starts_with("..") => out.push("must not start with '..'".to_string()),
        _ => {}
    }
    out
}

/// A port's name after RFC 6335.
pub fn port_name(s: &str) -> Complaints {
    let mut out = Vec::new();
    if s.len() > 15 {
        out.push("must be no more than 15 characters".to_string());
    }
    if !s.bytes().all(|b| lower_or_digit(b) || b == b'-') || s.is_empty() {
        out.push(
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_string(),
        );
    }
    if !s.bytes().any(|b| b.is_ascii_lowercase()) {
        out.push("must contain at least one letter (a-z)".to_string());
    }
    if s.contains("--") {
        out.push("must not contain consecutive hyphens".to_string());
    }
    if s.starts_with('-') || s.ends_with('-') {
        out.push("must not begin or end with a hyphen".to_string());
    }
    out
}

/// An environment variable's name.
pub fn env_var_name(s: &str) -> Complaints {
    let mut out = Vec::new();
    if s.is_empty() || !s.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
        out.push("a valid environment variable name must consist only of printable ASCII characters other than '='".to_string());
    }
    out
}

/// The number of a port.
pub fn port_number(n: i64) -> Complaints {
    if (1..=65535).contains(&n) {
        Vec::new()
    } else {
        vec!["must be between 1 and 65535, inclusive".to_string()]
    }
}

/// `10%`
pub fn is_percent(s: &str) -> bool {
    s.strip_suffix('%')
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The complaint about a string that should be a percentage.
pub fn percent_form() -> String {
    form_error(
        "a valid percent string must be a numeric string followed by an ending '%'",
        "[0-9]+%",
        &["1%", "93%"],
    )
}

/// The letters and digits of generated names: no vowels, so that no words come about, and none
/// that look alike.
const ALPHANUMERICS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Five random characters, as `generateName` appends them; `below(n)` gives a number in `0..n`.
pub fn random_suffix(mut below: impl FnMut(u32) -> u32) -> String {
    (0..5)
        .map(|_| letter(below(ALPHANUMERICS.len() as u32) as usize))
        .collect()
}

fn letter(n: usize) -> char {
    char::from(ALPHANUMERICS[n % ALPHANUMERICS.len()])
}

/// A name from `generateName`: the base is cut so that five more characters fit into 63.
pub fn generate_name(base: &str, below: impl FnMut(u32) -> u32) -> String {
    let mut end = base.len().min(58);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{}", &base[..end], random_suffix(below))
}

/// `rand.SafeEncodeString`: the same characters for a hash that is printed as a number.
pub fn safe_encode(s: &str) -> String {
    s.bytes().map(|b| letter(usize::from(b))).collect()
}

/// FNV-1a, 32 bits: `pod-template-hash` and many other hashes in Kubernetes' controllers start here.
pub fn fnv1a_32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |h, b| {
        (h ^ u32::from(*b)).wrapping_mul(0x0100_0193)
    })
}

/// FNV-1a, 128 bits (`fnv.New128a`).
pub fn fnv1a_128(bytes: &[u8]) -> u128 {
    let basis = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let prime = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes
        .iter()
        .fold(basis, |h: u128, b| (h ^ u128::from(*b)).wrapping_mul(prime))
}

/// FNV-1, 32 bits (`fnv.New32`): multiplied first, then mixed.
pub fn fnv1_32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |h: u32, b| {
        h.wrapping_mul(0x0100_0193) ^ u32::from(*b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn right(check: fn(&str) -> Complaints, names: &[&str]) {
        for name in names {
            assert!(check(name).is_empty(), "{name}: {:?}", check(name));
        }
    }

    #[track_caller]
    fn wrong(check: fn(&str) -> Complaints, names: &[&str]) {
        for name in names {
            assert!(!check(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn names_are_told_right_from_wrong() {
        let long = "a".repeat(64);
        right(dns1123_label, &["a", "0", "my-name", "123"]);
        wrong(
            dns1123_label,
            &["", "-a", "a-", "A", "a.b", "a_b", &long, "ä"],
        );
        right(dns1123_subdomain, &["a.b", "web", "1.2"]);
        wrong(dns1123_subdomain, &["", "a..b", ".a", "a.", "a/b"]);
        right(dns1035_label, &["a1"]);
        wrong(dns1035_label, &["1a", ""]);
        right(qualified_name, &["app", "example.com/My_App", "a.b"]);
        wrong(qualified_name, &["", "/a", "a/", "a/b/c", "A.com/a", "-a"]);
        right(label_value, &["", "1.20", "A_b"]);
        wrong(label_value, &["a b", "-", &long]);
        right(port_name, &["http", "a-1"]);
        wrong(
            port_name,
            &["", "HTTP", "80", "a--b", "-a", "averyveryverylong"],
        );
        right(path_segment, &["system:node", "A"]);
        wrong(path_segment, &["..", "a/b", "a%"]);
    }

    #[test]
    fn complaints_are_worded_as_by_the_api_server() {
        assert_eq!(
            dns1123_label("A"),
            [
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ]
        );
        assert_eq!(qualified_name("/x"), ["prefix part must be non-empty"]);
    }

    #[test]
    fn generated_names_use_their_own_alphabet() {
        let mut n = 0;
        let name = generate_name("web-", |most| {
            n += 7;
            n % most
        });
        assert_eq!(name, "web-ks4cl");
        assert_eq!(generate_name(&"x".repeat(80), |_| 0).len(), 63);
        assert_eq!(safe_encode("0123456789"), "456789bcdf");
        assert_eq!((fnv1a_32(b"a"), fnv1_32(b"a")), (0xe40c_292c, 0x050c_5d7e));
    }
}
