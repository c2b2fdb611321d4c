//! CertificateSigningRequests: what stands in the PKCS #10 request is read as far as describe shows it.

use kubarium_objects::certificate::Request;
use kubarium_objects::{ObjectMeta, Value, base64};

use super::{date, events};
use crate::kubectl::Kubectl;
use crate::kubectl::printers;
use crate::kubectl::table::Lines;

pub(super) fn request(k: &Kubectl, o: &Value, w: &mut Lines) {
    let spec = &o["spec"];
    w.line(0, format!("Name:\t{}", o.name()));
    w.line(0, format!("Labels:\t{}", printers::labels(o.labels())));
    w.line(
        0,
        format!("Annotations:\t{}", printers::labels(o.annotations())),
    );
    w.line(
        0,
        format!(
            "CreationTimestamp:\t{}",
            date(&o["metadata"]["creationTimestamp"])
        ),
    );
    w.line(0, format!("Requesting User:\t{}", spec["username"].str()));
    if !spec["signerName"].is_empty() {
        w.line(0, format!("Signer:\t{}", spec["signerName"].str()));
    }
    if let Some(seconds) = spec["expirationSeconds"].as_i64() {
        let time = kubarium_objects::duration::human_duration(seconds);
        w.line(0, format!("Requested Duration:\t{time}"));
    }
    w.line(0, format!("Status:\t{}", printers::request_status(o)));
    let pem = base64::decode(spec["request"].str()).unwrap_or_default();
    let request = Request::read(&String::from_utf8_lossy(&pem));
    let subject = request.map(|r| r.attributes).unwrap_or_default();
    w.line(0, "Subject:");
    let one = |oid: &[u8]| -> String {
        let found = subject.iter().rev().find(|(o, _)| o == oid);
        found.map_or(String::new(), |(_, text)| text.clone())
    };
    w.line(0, format!("\tCommon Name:\t{}", one(&[85, 4, 3])));
    w.line(0, format!("\tSerial Number:\t{}", one(&[85, 4, 5])));
    for (title, oid) in [
        ("Organization", 10),
        ("Organizational Unit", 11),
        ("Country", 6),
        ("Locality", 7),
        ("Province", 8),
        ("StreetAddress", 9),
        ("PostalCode", 17),
    ] {
        let values: Vec<&str> = subject
            .iter()
            .filter(|(o, _)| *o == [85, 4, oid])
            .map(|(_, text)| text.as_str())
            .collect();
        if !values.is_empty() {
            w.line(0, format!("\t{title}:\t{}", values.join("\n\t\t")));
        }
    }
    events(k, o, w);
}
