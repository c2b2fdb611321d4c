//! Kubernetes' own libraries (apiserver v0.37, `pkg/cel/library`): quantities, addresses of the web
//! and of networks, versions, optional values. A value of such a type is an object with its type
//! under a name that no field has.

use std::cmp::Ordering;
use std::net::IpAddr;

use super::run::{Outcome, no_overload};
use crate::quantity::Quantity;
use crate::value::{Value, object};

/// Under this name a value of a type of a library has its type.
const KIND: &str = "";
const OF: &str = "of";
const DEFAULTED: &str = "defaulted";
const OTHER: &str = "other";

/// A value of a library's type.
pub(super) fn typed(kind: &str, of: Value) -> Value {
    object([(KIND, kind.into()), (OF, of)])
}

/// The type of a library's value; empty for any other.
pub(super) fn kind(value: &Value) -> &str {
    match value {
        Value::Object(_) => value.get(KIND).map_or("", Value::str),
        _ => "",
    }
}

/// What is in a library's value.
pub(super) fn inner(value: &Value) -> &Value {
    &value[OF]
}

/// A map that has a value under every key: `other` where it has no other.
pub(super) fn with_default(map: Value, other: Value) -> Value {
    let mut all = typed(DEFAULTED, map);
    all[OTHER] = other;
    all
}

/// A map that has a value under every key: those that it has, and the one for all others.
pub(super) fn defaulted(value: &Value) -> Option<(&Value, &Value)> {
    (kind(value) == DEFAULTED).then(|| (inner(value), &value[OTHER]))
}

/// `optional.of(x)`, or `optional.none()`.
pub(super) fn optional(of: Option<Value>) -> Value {
    typed("optional", of.map_or(Value::Null, |v| Value::from(vec![v])))
}

/// A function of a library; `None` where it is of none.
pub(super) fn function(name: &str, arg: &Value) -> Option<Outcome> {
    let text = arg.str();
    if name == "dyn" {
        return Some(Ok(arg.clone()));
    }
    if name == "optional.of" {
        return Some(Ok(optional(Some(arg.clone()))));
    }
    if name == "jsonpatch.escapeKey" {
        return Some(Ok(text.replace('~', "~0").replace('/', "~1").into()));
    }
    if name == "string" && !kind(arg).is_empty() {
        return Some(Ok(inner(arg).clone()));
    }
    let (kind, checks) = match name {
        "quantity" => ("quantity", false),
        "isQuantity" => ("quantity", true),
        "url" => ("url", false),
        "isURL" => ("url", true),
        "ip" => ("ip", false),
        "isIP" => ("ip", true),
        "cidr" => ("cidr", false),
        "isCIDR" => ("cidr", true),
        "semver" => ("semver", false),
        "isSemver" => ("semver", true),
        _ => return None,
    };
    if arg.as_str().is_none() {
        return Some(no_overload());
    }
    let read = match kind {
        "quantity" => text
            .parse::<Quantity>()
            .map(drop)
            .map_err(|why| why.to_string()),
        "url" => Url::read(text).map(drop),
        "ip" => ip(text).map(drop),
        "cidr" => cidr(text).map(drop),
        _ => version(text).map(drop),
    };
    Some(match (read, checks) {
        (read, true) => Ok(read.is_ok().into()),
        (Ok(()), false) => Ok(typed(kind, text.into())),
        (Err(why), false) => Err(why),
    })
}

/// A method of a library's value; `None` where the value is of none.
pub(super) fn method(of: &Value, name: &str, args: &[Value]) -> Option<Outcome> {
    let text = inner(of).str();
    Some(match kind(of) {
        "" => return None,
        "optional" => optional_method(of, name, args),
        "quantity" => quantity_method(text, name, args),
        "url" => url_method(text, name),
        "ip" => ip_method(text, name),
        "cidr" => cidr_method(text, name, args),
        "semver" => version_method(text, name, args),
        _ => no_overload(),
    })
}

fn optional_method(of: &Value, name: &str, args: &[Value]) -> Outcome {
    let value = inner(of).items().first().cloned();
    match (name, args) {
        ("hasValue", []) => Ok(value.is_some().into()),
        ("value", []) => value.ok_or_else(|| "optional.none() dereference".to_owned()),
        ("orValue", [other]) => Ok(value.unwrap_or_else(|| other.clone())),
        ("or", [other]) => Ok(if value.is_some() { of } else { other }.clone()),
        _ => no_overload(),
    }
}

fn compared(order: Ordering, name: &str) -> Outcome {
    Ok(match name {
        "isGreaterThan" => order.is_gt().into(),
        "isLessThan" => order.is_lt().into(),
        "compareTo" => Value::Int(order as i64),
        _ => return no_overload(),
    })
}

fn quantity_method(text: &str, name: &str, args: &[Value]) -> Outcome {
    let read = |text: &str| text.parse::<Quantity>().unwrap_or(Quantity::ZERO);
    let own = read(text);
    let whole = || {
        let value = own.value();
        (own == Quantity::new(value, crate::quantity::Format::DecimalSi)).then_some(value)
    };
    match (name, args) {
        ("sign", []) => Ok(Value::Int(i64::from(own.sign()))),
        ("isInteger", []) => Ok(whole().is_some().into()),
        ("asInteger", []) => whole()
            .map(Value::Int)
            .ok_or_else(|| "cannot convert value to integer".to_owned()),
        ("asApproximateFloat", []) => Ok(Value::Float(own.as_f64())),
        ("add" | "sub", [other]) => {
            let other = match other {
                Value::Int(n) => Quantity::new(*n, crate::quantity::Format::DecimalSi),
                other if kind(other) == "quantity" => read(inner(other).str()),
                _ => return no_overload(),
            };
            let sum = match name {
                "add" => own.plus(&other),
                _ => own.minus(&other),
            };
            Ok(typed("quantity", sum.to_string().into()))
        }
        (_, [other]) if kind(other) == "quantity" => {
            compared(own.cmp(&read(inner(other).str())), name)
        }
        _ => no_overload(),
    }
}

/// `https://host:80/path?query`
struct Url<'a> {
    scheme: &'a str,
    host: &'a str,
    path: &'a str,
    query: &'a str,
}

impl Url<'_> {
    fn read(text: &str) -> Result<Url<'_>, String> {
        let wrong = || {
            format!(
                "URL parse error during conversion from string: parse {text:?}: invalid URI for request"
            )
        };
        let (text, query) = text.split_once('?').unwrap_or((text, ""));
        if text.starts_with('/') {
            let (scheme, host) = ("", "");
            let path = text;
            return Ok(Url {
                scheme,
                host,
                path,
                query,
            });
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        if scheme.is_empty() || rest.contains(char::is_whitespace) {
            return Err(wrong());
        }
        let end = rest.find('/').unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        Ok(Url {
            scheme,
            host,
            path,
            query,
        })
    }
}

fn url_method(text: &str, name: &str) -> Outcome {
    let url = Url::read(text)?;
    let bracket = url.host.rfind(']').unwrap_or(0);
    let colon = url.host.rfind(':').filter(|at| *at >= bracket);
    let (host, port) = match colon {
        Some(at) => (&url.host[..at], &url.host[at + 1..]),
        None => (url.host, ""),
    };
    Ok(match name {
        "getScheme" => url.scheme.into(),
        "getHost" => url.host.into(),
        "getHostname" => host.trim_matches(['[', ']']).into(),
        "getPort" => port.into(),
        "getEscapedPath" => url.path.into(),
        "getQuery" => {
            let mut all = Value::new_object();
            for pair in url.query.split('&').filter(|p| !p.is_empty()) {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                all[key].array_mut().push(value.into());
            }
            all
        }
        _ => return no_overload(),
    })
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "IP Address {} parse error during conversion from string: ParseAddr({}): unable to parse IP",
            crate::go::quote(text),
            crate::go::quote(text)
        )
    })
}

fn cidr(text: &str) -> Result<ipnet::IpNet, String> {
    text.parse().map_err(|_| {
        format!("network address parse error during conversion from string: network address parse error: invalid CIDR address {text}")
    })
}

fn ip_method(text: &str, name: &str) -> Outcome {
    let ip = ip(text)?;
    let (link_unicast, link_multicast) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (
            v6.is_unicast_link_local(),
            v6.segments()[0] & 0xff0f == 0xff02,
        ),
    };
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    Ok(match name {
        "family" => Value::Int(if ip.is_ipv4() { 4 } else { 6 }),
        "isUnspecified" => ip.is_unspecified().into(),
        "isLoopback" => ip.is_loopback().into(),
        "isLinkLocalUnicast" => link_unicast.into(),
        "isLinkLocalMulticast" => link_multicast.into(),
        "isGlobalUnicast" => {
            let special = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast();
            (!special && !link_unicast && !broadcast).into()
        }
        _ => return no_overload(),
    })
}

fn cidr_method(text: &str, name: &str, args: &[Value]) -> Outcome {
    let net = cidr(text)?;
    let given = |value: &Value| match kind(value) {
        "" => value.str().to_owned(),
        _ => inner(value).str().to_owned(),
    };
    Ok(match (name, args) {
        ("ip", []) => typed("ip", net.addr().to_string().into()),
        ("masked", []) => typed("cidr", net.trunc().to_string().into()),
        ("prefixLength", []) => Value::Int(i64::from(net.prefix_len())),
        ("containsIP", [other]) => net.contains(&ip(&given(other))?).into(),
        ("containsCIDR", [other]) => {
            let other = cidr(&given(other))?;
            (net.contains(&other.network()) && net.prefix_len() <= other.prefix_len()).into()
        }
        _ => return no_overload(),
    })
}

/// The numbers of a version and what stands behind its dash (semver.org).
fn version(text: &str) -> Result<([u64; 3], String), String> {
    let (text, _build) = text.split_once('+').unwrap_or((text, ""));
    let (numbers, rest) = text.split_once('-').unwrap_or((text, ""));
    let parts: Vec<&str> = numbers.split('.').collect();
    let number = |part: &str| {
        let plain = part == "0" || !part.starts_with('0');
        part.parse::<u64>().ok().filter(|_| plain)
    };
    let wrong = "No Major.Minor.Patch elements found".to_owned();
    let [major, minor, patch] = parts[..] else {
        return Err(wrong);
    };
    match (number(major), number(minor), number(patch)) {
        (Some(a), Some(b), Some(c)) => Ok(([a, b, c], rest.to_owned())),
        _ => Err(format!(
            "Invalid character(s) found in version {}",
            crate::go::quote(text)
        )),
    }
}

fn version_method(text: &str, name: &str, args: &[Value]) -> Outcome {
    let (own, before) = version(text)?;
    let number = |at: usize| Ok(Value::Int(i64::try_from(own[at]).unwrap_or(i64::MAX)));
    match (name, args) {
        ("major", []) => number(0),
        ("minor", []) => number(1),
        ("patch", []) => number(2),
        (_, [other]) if kind(other) == "semver" => {
            let (others, others_before) = version(inner(other).str())?;
            // Without anything behind the dash it is the later one.
            let rank = |text: &str| (text.is_empty(), text.to_owned());
            let order = own
                .cmp(&others)
                .then_with(|| rank(&before).cmp(&rank(&others_before)));
            compared(order, name)
        }
        _ => no_overload(),
    }
}

/// `'%s is %d'.format([a, b])`
pub(super) fn format(text: &str, args: &Value) -> Outcome {
    let mut given = args.items().iter();
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut verb = chars.next().ok_or("unexpected end of format string")?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        let mut digits = None;
        if verb == '.' {
            let word: String = chars.clone().take_while(char::is_ascii_digit).collect();
            digits = word.parse::<usize>().ok().filter(|n| *n <= 100);
            for _ in 0..word.len() {
                chars.next();
            }
            verb = chars.next().ok_or("unexpected end of format string")?;
        }
        let arg = given
            .next()
            .ok_or("index out of range for format arguments")?;
        out.push_str(&match (verb, arg) {
            ('s', Value::String(text)) => text.to_string(),
            ('s', other) if !kind(other).is_empty() => inner(other).str().to_owned(),
            ('s', other) => other.to_json(),
            ('d', Value::Int(n)) => n.to_string(),
            ('f', Value::Int(_) | Value::Float(_)) => {
                let number = arg.as_f64().unwrap_or(0.0);
                format!("{number:.*}", digits.unwrap_or(6))
            }
            ('x', Value::Int(n)) => format!("{n:x}"),
            ('X', Value::Int(n)) => format!("{n:X}"),
            ('o', Value::Int(n)) => format!("{n:o}"),
            ('b', Value::Int(n)) => format!("{n:b}"),
            _ => {
                return Err(format!(
                    "error during formatting: unrecognized formatting clause \"{verb}\""
                ));
            }
        });
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::super::Expression;
    use crate::value::object;

    #[track_caller]
    fn is(text: &str, want: &str) {
        let expression = Expression::parse(text).expect(text);
        let it = object([("a", object([("b", 1.into())]))]);
        let found = match expression.evaluate(&[("self", it)]) {
            Ok(value) => value.to_json(),
            Err(why) => why,
        };
        assert_eq!(found, want, "{text}");
    }

    #[test]
    fn libraries_answer() {
        is("quantity('1Gi').isGreaterThan(quantity('1000Mi'))", "true");
        is("quantity('1.5').isInteger()", "false");
        is("quantity('2k').asInteger()", "2000");
        is("string(quantity('1Gi').add(quantity('1Gi')))", "\"2Gi\"");
        is("isQuantity('1x')", "false");
        is("url('https://a.b:80/c?d=e&d=f').getHostname()", "\"a.b\"");
        is("url('https://a.b:80/c?d=e&d=f').getPort()", "\"80\"");
        is("url('/c?d=e&d=f').getQuery()", "{\"d\":[\"e\",\"f\"]}");
        is("isURL('a b')", "false");
        is("ip('127.0.0.1').isLoopback()", "true");
        is("ip('::1').family()", "6");
        is("isIP('1.2.3')", "false");
        is("cidr('10.0.0.0/8').containsIP('10.1.2.3')", "true");
        is(
            "cidr('10.0.0.0/8').containsCIDR(cidr('10.1.0.0/16'))",
            "true",
        );
        is("cidr('10.1.2.3/16').masked().prefixLength()", "16");
        is("semver('1.2.3').isLessThan(semver('1.10.0'))", "true");
        is("semver('1.2.3-a').compareTo(semver('1.2.3'))", "-1");
        is("isSemver('v1')", "false");
        is("self.?a.?b.orValue(7)", "1");
        is("self.?a.?c.orValue(7)", "7");
        is("self.?x.?b.hasValue()", "false");
        is(
            "'%s is %d of %.1f'.format(['a', 1, 2.0])",
            "\"a is 1 of 2.0\"",
        );
        is("'banana'.lastIndexOf('an')", "3");
        is("'banana'.indexOf('an', 2)", "3");
        is("'banana'.replace('a', 'o', 2)", "\"bonona\"");
        is("'a,b,c'.split(',', 2)", "[\"a\",\"b,c\"]");
        is("'a1b22'.findAll('[0-9]+')", "[\"1\",\"22\"]");
        is("'abc'.charAt(1) + 'abc'.reverse()", "\"bcba\"");
        is(
            "Object{spec: Object.spec{a: [1]}}",
            "{\"spec\":{\"a\":[1]}}",
        );
        is(
            "JSONPatch{op: 'add', path: '/' + jsonpatch.escapeKey('a/b')}.path",
            "\"/a~1b\"",
        );
        is("optional.of(3).value()", "3");
    }

    #[test]
    fn mistakes_are_said() {
        is(
            "ip('x').family()",
            "IP Address \"x\" parse error during conversion from string: ParseAddr(\"x\"): unable to parse IP",
        );
        is("'abc'.charAt(9)", "index out of range: 9");
        is(
            "'%d'.format(['a'])",
            "error during formatting: unrecognized formatting clause \"d\"",
        );
        assert!(Expression::parse("nosuch(self)").is_err());
    }
}
