//! Checks that many kinds share.

use std::net::IpAddr;

use crate::field_error::FieldError;
use crate::names;
use crate::quantity::Quantity;
use crate::value::{Text, Value};

/// The list of complaints.
#[derive(Default)]
pub(super) struct Errors {
    list: Vec<FieldError>,
}

impl Errors {
    pub(super) fn push(&mut self, e: FieldError) {
        self.list.push(e);
    }
    pub(super) fn into_list(self) -> Vec<FieldError> {
        self.list
    }
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }
    pub(super) fn required(&mut self, path: impl Into<String>, detail: impl Into<String>) {
        self.push(FieldError::required(path, detail));
    }
    pub(super) fn invalid(
        &mut self,
        path: impl Into<String>,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) {
        self.push(FieldError::invalid(path, value, detail));
    }
    /// The same, the message leaving the value out.
    pub(super) fn invalid_unshown(&mut self, path: impl Into<String>, detail: impl Into<String>) {
        self.push(FieldError {
            value: None,
            ..FieldError::invalid_shown(path, "", detail)
        });
    }
    pub(super) fn forbidden(&mut self, path: impl Into<String>, detail: impl Into<String>) {
        self.push(FieldError::forbidden(path, detail));
    }
    pub(super) fn duplicate(&mut self, path: impl Into<String>, value: impl Into<Value>) {
        self.push(FieldError::duplicate(path, value));
    }
    pub(super) fn not_found(&mut self, path: impl Into<String>, value: impl Into<Value>) {
        self.push(FieldError::not_found(path, value));
    }
    /// Complaints about a name.
    pub(super) fn names(&mut self, path: impl Into<String>, name: &str, complaints: Vec<String>) {
        let path = path.into();
        for why in complaints {
            self.invalid(path.clone(), name, why);
        }
    }
    /// A value that must be one of a few; not given is right.
    pub(super) fn one_of(&mut self, path: impl Into<String>, value: &Value, supported: &[&str]) {
        if !value.is_null() && !supported.contains(&value.str()) {
            self.push(FieldError::not_supported(path, value, supported));
        }
    }
    /// The same, but it must be given.
    pub(super) fn required_one_of(
        &mut self,
        path: impl Into<String>,
        value: &Value,
        supported: &[&str],
    ) {
        if value.is_empty() {
            self.required(path, "");
        } else {
            self.one_of(path, value, supported);
        }
    }
    /// A number that must not be below zero; not given is right.
    pub(super) fn non_negative(&mut self, path: impl Into<String>, value: &Value) {
        self.at_least(path, value, 0);
    }
    /// A number that must not be below another; not given is right.
    pub(super) fn at_least(&mut self, path: impl Into<String>, value: &Value, least: i64) {
        if value.as_i64().is_some_and(|i| i < least) {
            self.invalid(
                path,
                value,
                format!("must be greater than or equal to {least}"),
            );
        }
    }
    /// A port's number.
    pub(super) fn port(&mut self, path: impl Into<String>, value: &Value) {
        let number = value.as_i64().unwrap_or(0);
        let path = path.into();
        for why in names::port_number(number) {
            self.invalid(path.clone(), number, why);
        }
    }
    /// A port's number or name.
    pub(super) fn port_or_name(&mut self, path: impl Into<String>, value: &Value) {
        match value {
            Value::String(s) => self.names(path, s, names::port_name(s)),
            other => self.port(path, other),
        }
    }
    /// Labels: keys and values.
    pub(super) fn labels(&mut self, path: &str, labels: &Value) {
        for (key, value) in labels.entries() {
            self.names(path, key, names::qualified_name(key));
            self.names(path, value.str(), names::label_value(value.str()));
        }
    }
    /// An IP address.
    pub(super) fn ip(&mut self, path: impl Into<String>, text: &str) -> Option<IpAddr> {
        match parse_ip(text) {
            Ok(ip) => Some(ip),
            Err(why) => {
                self.invalid(path, text, why);
                None
            }
        }
    }
    /// A range of addresses.
    pub(super) fn cidr(&mut self, path: impl Into<String>, text: &str) -> Option<ipnet::IpNet> {
        let Ok(net) = text.parse::<ipnet::IpNet>() else {
            self.invalid(
                path,
                text,
                "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            );
            return None;
        };
        if net.addr() != net.network() {
            self.invalid(
                path,
                text,
                "must not have bits set beyond the prefix length",
            );
            return None;
        }
        Some(net)
    }
    /// A number or a percentage, not below zero.
    pub(super) fn int_or_percent(&mut self, path: &str, value: &Value) {
        match value {
            Value::String(s) if !names::is_percent(s) => {
                self.invalid(path, value, names::percent_form())
            }
            Value::Int(_) => self.non_negative(path, value),
            _ => {}
        }
    }
    /// A percentage of at most 100.
    pub(super) fn at_most_100_percent(&mut self, path: &str, value: &Value) {
        if percent(value).is_some_and(|p| p > 100) {
            self.invalid(path, value, "must not be greater than 100%");
        }
    }
    /// A `metav1.LabelSelector`.
    pub(super) fn selector(&mut self, path: &str, selector: &Value) {
        self.label_map(&format!("{path}.matchLabels"), &selector["matchLabels"]);
        for (i, r) in selector["matchExpressions"].items().iter().enumerate() {
            let at = format!("{path}.matchExpressions[{i}]");
            let values = r["values"].items();
            match r["operator"].str() {
                "In" | "NotIn" if values.is_empty() => {
                    self.required(
                        format!("{at}.values"),
                        "must be specified when `operator` is 'In' or 'NotIn'",
                    );
                }
                "Exists" | "DoesNotExist" if !values.is_empty() => {
                    self.forbidden(
                        format!("{at}.values"),
                        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                    );
                }
                "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
                other => self.invalid(
                    format!("{at}.operator"),
                    other,
                    "not a valid selector operator",
                ),
            }
            self.names(
                format!("{at}.key"),
                r["key"].str(),
                names::qualified_name(r["key"].str()),
            );
            for (j, v) in values.iter().enumerate() {
                self.names(
                    format!("{at}.values[{j}]"),
                    v.str(),
                    names::label_value(v.str()),
                );
            }
        }
    }
    fn label_map(&mut self, path: &str, labels: &Value) {
        self.labels(path, labels);
    }
}

/// `25%` -> 25
pub(super) fn percent(value: &Value) -> Option<i64> {
    value.as_str()?.strip_suffix('%')?.parse().ok()
}

/// A list's items with the paths of each.
pub(super) fn items<'a>(v: &'a Value, path: &str) -> impl Iterator<Item = (String, &'a Value)> {
    v.items()
        .iter()
        .enumerate()
        .map(move |(i, item)| (format!("{path}[{i}]"), item))
}

/// A map's entries with the paths of each: `data[key]`.
pub(super) fn keys<'a>(
    v: &'a Value,
    path: &str,
) -> impl Iterator<Item = (String, &'a Text, &'a Value)> {
    v.entries()
        .iter()
        .map(move |(k, item)| (format!("{path}[{k}]"), k, item))
}

/// An address without leading zeros. Errors: the API server's text.
pub(super) fn parse_ip(text: &str) -> Result<IpAddr, &'static str> {
    if let Ok(ip) = text.parse() {
        return Ok(ip);
    }
    let parts: Vec<&str> = text.split('.').collect();
    let number = |p: &&str| {
        !p.is_empty()
            && p.len() < 6
            && p.bytes().all(|b| b.is_ascii_digit())
            && p.parse::<u32>().is_ok_and(|n| n < 256)
    };
    if parts.len() == 4 && parts.iter().all(number) {
        return Err("must not have leading 0s");
    }
    Err("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
}

/// An amount; what is none counts as nothing (decoding has refused it).
pub(super) fn quantity(v: &Value) -> Quantity {
    v.str().parse().unwrap_or(Quantity::ZERO)
}

/// `a/../b`
pub(super) fn has_dot_dot(path: &str) -> bool {
    path.split('/').any(|step| step == "..")
}
