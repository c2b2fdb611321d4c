//! Pictures as SVG, for documents: the map, a packet's way, a node's rules. Drawn from the same data and in the same
//! grammar as on the page, with the colours of its design tokens, light or dark.

use std::fmt::Write as _;

use kubarium_snapshot::geometry::{Point, Rect};
use kubarium_snapshot::lane::{Part, PhaseKind, Row, Step};
use kubarium_snapshot::map::{Device, DeviceKind, PodBox, Room, ServiceLabel, State};
use kubarium_snapshot::rules::RuleBook;
use kubarium_snapshot::{Lane, Map};

/// The page's colour schemes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Dark on light.
    #[default]
    Light,
    /// Light on dark.
    Dark,
}

/// Space around a picture.
const MARGIN: f64 = 16.0;

/// A picture that is being written.
struct Svg {
    out: String,
    theme: Theme,
}

/// The map.
pub fn map(map: &Map, theme: Theme) -> String {
    let mut svg = Svg::begin(map.bounds, "A Kubernetes cluster", theme);
    let office = map.office.rect;
    svg.rect(office, 8.0, "ground");
    svg.text(office.x + 16.0, office.y + 20.0, "title", "Control plane");
    for desk in &map.office.desks {
        let r = desk.rect;
        svg.rect(r, 6.0, "box");
        svg.mark(desk.state, r.x + 16.0, r.center().y);
        svg.text(r.x + 32.0, r.y + 21.0, "name", &desk.name);
        svg.text(r.x + 32.0, r.y + 38.0, "detail", &desk.detail);
    }
    for corridor in &map.corridors {
        svg.corridor(map, corridor.rect, &corridor.cidr);
    }
    for host in &map.hosts {
        let r = host.rect;
        svg.line(
            r.center().x,
            r.bottom(),
            r.center().x,
            r.bottom() + 68.0,
            "link",
        );
        svg.rect(r, 6.0, "box");
        svg.text(r.x + 12.0, r.y + 26.0, "name", "Outside");
        svg.text(r.x + 12.0, r.y + 46.0, "address", &host.address);
    }
    for service in &map.services {
        svg.endpoints(service);
    }
    for room in &map.rooms {
        svg.room(room);
    }
    for service in &map.services {
        svg.service(service);
    }
    svg.end()
}

/// A packet's way: for each exchange columns for the namespaces, rows for the layers, and the stops with their numbers;
/// below them what each stop says.
pub fn lane(lane: &Lane, theme: Theme) -> String {
    const LINE: f64 = 18.0;
    const HEAD: f64 = 44.0;
    let told: Vec<(usize, &Step)> = lane
        .stops
        .iter()
        .enumerate()
        .filter_map(|(at, stop)| Some((at, lane.steps.get(stop.main)?)))
        .filter(|(_, step)| !step.explanation.is_empty())
        .collect();
    let widths = lane.parts.iter().map(|part| part.size.width);
    let width = widths.fold(720.0, f64::max);
    let drawn: f64 = lane.parts.iter().map(|part| HEAD + part.size.height).sum();
    let height = 28.0 + drawn + 16.0 + told.len() as f64 * LINE;
    let title = format!("{}: {:?}", lane.title, lane.verdict).to_lowercase();
    let mut svg = Svg::begin(Rect::new(0.0, 0.0, width, height), &title, theme);
    svg.text(0.0, 12.0, "title", &title);
    let mut top = 28.0;
    for (number, part) in lane.parts.iter().enumerate() {
        let next = lane.parts.get(number + 1);
        let end = next.map_or(lane.stops.len(), |next| next.first);
        top += HEAD;
        svg.part(lane, part, end, top);
        top += part.size.height;
    }
    for (row, (at, step)) in told.iter().enumerate() {
        let y = top + 24.0 + row as f64 * LINE;
        svg.text(22.0, y, "number end", &(at + 1).to_string());
        let phase = match step.phase {
            PhaseKind::Dns => "DNS",
            PhaseKind::Request => "request",
            PhaseKind::Reply => "reply",
        };
        svg.text(30.0, y, "detail", phase);
        svg.text(
            80.0,
            y,
            "words",
            &shorten(&step.explanation, (width / 6.2) as usize),
        );
    }
    svg.end()
}

/// A node's rules: chains from hook to verdict, what a packet met marked.
pub fn rules(book: &RuleBook, theme: Theme) -> String {
    const LINE: f64 = 18.0;
    const WIDTH: f64 = 1080.0;
    let lines: usize = book.chains.iter().map(|c| c.rules.len() + 2).sum();
    let title = format!("{}: table {}", book.node, book.table);
    let mut svg = Svg::begin(
        Rect::new(0.0, 0.0, WIDTH, 24.0 + lines as f64 * LINE),
        &title,
        theme,
    );
    svg.text(0.0, 12.0, "title", &title);
    let mut y = 24.0;
    for chain in &book.chains {
        let x = chain.depth as f64 * 20.0;
        y += LINE;
        if chain.lit {
            svg.rect(Rect::new(x, y - 13.0, WIDTH - x, LINE), 3.0, "lit");
        }
        svg.text(x + 4.0, y, "name mono", &chain.name);
        if let Some(policy) = &chain.policy {
            svg.text(WIDTH - 4.0, y, "detail end", &format!("policy {policy}"));
        }
        for rule in &chain.rules {
            y += LINE;
            if rule.lit {
                svg.rect(
                    Rect::new(x + 16.0, y - 13.0, WIDTH - x - 16.0, LINE),
                    3.0,
                    "lit",
                );
            }
            svg.text(x + 36.0, y, "number end", &rule.number.to_string());
            let room = ((WIDTH - x - 120.0) / 6.7) as usize;
            svg.text(x + 44.0, y, "mono small", &shorten(&rule.text, room));
            if rule.packets > 0 {
                svg.text(
                    WIDTH - 4.0,
                    y,
                    "detail end",
                    &format!("{} packets", rule.packets),
                );
            }
        }
        y += LINE;
    }
    svg.end()
}

impl Svg {
    fn begin(bounds: Rect, title: &str, theme: Theme) -> Svg {
        let (x, y) = (bounds.x - MARGIN, bounds.y - MARGIN);
        let (width, height) = (bounds.width + 2.0 * MARGIN, bounds.height + 2.0 * MARGIN);
        let mut svg = Svg {
            out: String::new(),
            theme,
        };
        let _ = write!(
            svg.out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{x:.0} {y:.0} {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\"><title>{}</title><style>{}</style>",
            escape(title),
            svg.style()
        );
        svg.rect(Rect::new(x, y, width, height), 0.0, "canvas");
        svg
    }

    fn end(mut self) -> String {
        self.out += "</svg>\n";
        self.out
    }

    /// The page's tokens and the rules of its drawings, as far as a picture needs them.
    fn style(&self) -> String {
        let pick = |light: &'static str, dark: &'static str| match self.theme {
            Theme::Light => light,
            Theme::Dark => dark,
        };
        let (ink, quiet) = (pick("#171b20", "#e9edf0"), pick("#4d5762", "#a9b4be"));
        let (canvas, surface) = (pick("#f3f5f7", "#101418"), pick("#fff", "#171c21"));
        let (line, strong) = (pick("#dbe0e5", "#2c343c"), pick("#7c8792", "#76828d"));
        let lit = pick("#fbe6f2", "#37192a");
        let mut style = format!(
            "text{{font:13px system-ui,sans-serif;fill:{ink}}}\
             .title{{font-weight:600;font-size:14px}}.name{{font-weight:600}}.detail{{font-size:12px;fill:{quiet}}}\
             .words{{font-size:12px}}.number{{font-size:11px;fill:{quiet}}}\
             .address,.mono{{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px}}.small{{font-size:11px}}\
             .address{{fill:{quiet}}}.end{{text-anchor:end}}.middle{{text-anchor:middle}}\
             .canvas{{fill:{canvas}}}.ground{{fill:{surface};stroke:{line}}}.box{{fill:{surface};stroke:{strong}}}\
             .lit{{fill:{lit}}}.hair{{stroke:{line}}}.inner,.cable{{stroke:{strong};fill:none}}\
             .way{{stroke:{strong};fill:none}}.endpoint{{fill:none;stroke:{strong}}}\
             .off{{stroke-dasharray:4 4}}.gone{{stroke:{line}}}\
             .mark{{fill:none;stroke-width:1.6;stroke-linecap:round;stroke-linejoin:round}}.step{{fill:{surface};stroke-width:1.5}}"
        );
        let layers = [
            ("link", "#6b5b00", "#d8c65a"),
            ("bridge", "#b03f00", "#ff9b61"),
            ("routing", "#14703c", "#6fd394"),
            ("netfilter", "#b0126f", "#ff8ac4"),
            ("tunnel", "#6a3bc4", "#bda2ff"),
            ("app", "#00697d", "#5fcfe6"),
        ];
        for (name, light, dark) in layers {
            let _ = write!(style, ".{name}{{stroke:{}}}", pick(light, dark));
        }
        let states = [
            ("good", "#14703c", "#6fd394"),
            ("warn", "#8a5300", "#f0b45a"),
            ("bad", "#b8231c", "#ff8f86"),
        ];
        for (name, light, dark) in states {
            let _ = write!(style, ".{name}{{stroke:{}}}", pick(light, dark));
        }
        style
    }

    /// One exchange, with its first row at `top`; its stops end before `end`.
    fn part(&mut self, lane: &Lane, part: &Part, end: usize, top: f64) {
        let _ = write!(self.out, "<g transform=\"translate(0 {top})\">");
        for (index, x, width) in &part.columns {
            let Some(column) = lane.columns.get(*index) else {
                continue;
            };
            let room = (width / 7.5) as usize;
            self.text(x + 8.0, -22.0, "name", &shorten(&column.title, room));
            if column.pod {
                self.text(x + 8.0, -8.0, "detail", &column.node);
            }
            self.line(*x, -36.0, *x, part.size.height, "hair");
        }
        for band in &part.bands {
            self.line(0.0, band.rect.y, part.size.width, band.rect.y, "hair");
            for (row, y) in &band.rows {
                self.text(0.0, y + 4.0, "detail", row_word(*row));
            }
            let stops = lane.stops.get(band.stops.0..band.stops.1).unwrap_or(&[]);
            let way: Vec<Point> = stops.iter().map(|stop| stop.at).collect();
            self.polyline(&way, "way");
        }
        let stops = lane.stops.get(part.first..end).unwrap_or(&[]);
        for (at, stop) in (part.first..).zip(stops) {
            let class = row_class(stop.row);
            let (x, y) = (stop.at.x, stop.at.y);
            let _ = write!(
                self.out,
                "<circle class=\"step {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"9\"/>"
            );
            self.text(x, y + 3.5, "number middle", &(at + 1).to_string());
            self.text(x, y - 13.0, "number middle", &stop.label);
        }
        self.out += "</g>";
    }

    fn rect(&mut self, r: Rect, radius: f64, class: &str) {
        let _ = write!(
            self.out,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{radius}\"/>",
            r.x, r.y, r.width, r.height
        );
    }

    fn polyline(&mut self, points: &[Point], class: &str) {
        let _ = write!(self.out, "<polyline class=\"{class}\" points=\"");
        for p in points {
            let _ = write!(self.out, "{:.1},{:.1} ", p.x, p.y);
        }
        self.out += "\"/>";
    }

    fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, class: &str) {
        let _ = write!(
            self.out,
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        if !text.is_empty() {
            let _ = write!(
                self.out,
                "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
                escape(text)
            );
        }
    }

    /// A state's mark: a shape for each, so that no colour is needed to tell them apart.
    fn mark(&mut self, state: State, x: f64, y: f64) {
        let (shape, class) = match state {
            State::Ready => (
                "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0M-2.2.2l1.6 1.6l3-3.4",
                "good",
            ),
            State::Progressing => (
                "M0-4.5a4.5 4.5 0 0 1 4.5 4.5M0 4.5a4.5 4.5 0 0 1-4.5-4.5",
                "warn",
            ),
            State::Terminating => ("M-4.5 0h9", "warn"),
            State::Done => ("M-4 .5l2.8 2.8l5.4-6", "good"),
            State::Failing => ("M0-4.8l5 9h-10zM0-1.2v2.4", "bad"),
            State::Unknown => (
                "M-2-2.2a2.1 2.1 0 1 1 3 2c-.8.4-1 .8-1 1.6M0 4.2v.1",
                "warn",
            ),
        };
        let _ = write!(
            self.out,
            "<path class=\"mark {class}\" d=\"{shape}\" transform=\"translate({x:.1} {y:.1})\"/>"
        );
    }

    fn corridor(&mut self, map: &Map, r: Rect, cidr: &str) {
        let (tube, floor) = (r.y + r.height * 0.3, r.y + r.height * 0.68);
        self.rect(r, 8.0, "ground");
        self.line(r.x + 16.0, tube, r.right() - 176.0, tube, "tunnel off");
        self.line(r.x + 16.0, floor, r.right() - 16.0, floor, "link");
        let doors = map.rooms.iter().flat_map(|room| &room.devices);
        for door in doors.filter(|d| d.kind != DeviceKind::Bridge) {
            let (from, x) = (door.rect.bottom(), door.rect.center().x);
            if from < r.y && r.y - from < 48.0 {
                let to = if door.kind == DeviceKind::Tunnel {
                    tube
                } else {
                    floor
                };
                self.line(x, from, x, to, device_class(door.kind));
            }
        }
        self.text(
            r.x + 16.0,
            r.bottom() - 7.0,
            "detail",
            &format!("The network between the nodes, {cidr}"),
        );
        self.text(r.x + 16.0, tube - 6.0, "detail", "overlay");
    }

    fn endpoints(&mut self, service: &ServiceLabel) {
        for end in &service.endpoints {
            let class = match end.state {
                State::Ready => "endpoint",
                State::Terminating => "endpoint gone",
                _ => "endpoint off",
            };
            self.polyline(&end.points, class);
        }
    }

    fn service(&mut self, service: &ServiceLabel) {
        let r = service.rect;
        self.rect(r, 24.0, "box");
        self.text(r.x + 20.0, r.y + 20.0, "name", &shorten(&service.name, 16));
        let count = match service.endpoints.len() {
            1 => "1 endpoint".to_owned(),
            n => format!("{n} endpoints"),
        };
        self.text(r.right() - 18.0, r.y + 20.0, "detail end", &count);
        self.text(r.x + 20.0, r.y + 37.0, "address", &service.address);
        self.text(
            r.right() - 18.0,
            r.y + 37.0,
            "address end",
            &shorten(&service.ports, 12),
        );
    }

    fn room(&mut self, room: &Room) {
        let r = room.rect;
        self.rect(r, 10.0, "ground");
        self.mark(room.state, r.x + 20.0, r.y + 22.0);
        self.text(r.x + 36.0, r.y + 27.0, "title", &room.name);
        let range = match room.badge.as_str() {
            "" => room.pod_cidr.clone(),
            badge => format!("{badge} · {}", room.pod_cidr),
        };
        self.text(r.right() - 16.0, r.y + 27.0, "address end", &range);
        for fixture in &room.fixtures {
            self.rect(fixture.rect, 4.0, "box");
            let middle = fixture.rect.center();
            self.text(middle.x, middle.y + 4.0, "detail middle", &fixture.name);
        }
        let rail = room.devices.iter().find(|d| d.kind == DeviceKind::Bridge);
        if let Some(rail) = rail {
            for door in room.devices.iter().filter(|d| d.kind != DeviceKind::Bridge) {
                let x = door.rect.center().x;
                self.line(x, rail.rect.bottom(), x, door.rect.y, "inner");
            }
        }
        for device in &room.devices {
            self.device(device);
        }
        for pod in &room.pods {
            self.pod(pod, room.crowded);
        }
    }

    fn device(&mut self, device: &Device) {
        let r = device.rect;
        let rail = device.kind == DeviceKind::Bridge;
        let off = if device.up { "" } else { " off" };
        self.rect(
            r,
            if rail { 4.0 } else { 6.0 },
            &format!("canvas {}{off}", device_class(device.kind)),
        );
        let (name, address) = match rail {
            true => ((r.x + 10.0, r.y + 14.0), (r.x + 64.0, r.y + 14.0)),
            false => ((r.x + 12.0, r.y + 18.0), (r.x + 12.0, r.y + 34.0)),
        };
        self.text(name.0, name.1, "mono name", &device.name);
        self.text(address.0, address.1, "address", &device.address);
    }

    fn pod(&mut self, pod: &PodBox, crowded: bool) {
        let r = pod.rect;
        if let Some(cable) = &pod.cable {
            self.polyline(&cable.points, "cable");
            if let Some(end) = cable.points.last() {
                self.text(end.x + 5.0, end.y - 5.0, "number", &cable.port);
            }
        }
        if crowded {
            self.rect(r, 3.0, "box");
            return;
        }
        self.rect(r, 6.0, "box");
        self.mark(pod.state, r.x + 14.0, r.y + 16.0);
        self.text(r.x + 26.0, r.y + 20.0, "name", &shorten(&pod.name, 14));
        let address = if pod.address.is_empty() {
            "–"
        } else {
            &pod.address
        };
        self.text(r.x + 10.0, r.y + 37.0, "address", address);
        let status = format!(
            "{} {}/{}",
            shorten(&pod.status, 12),
            pod.ready.0,
            pod.ready.1
        );
        self.text(r.x + 10.0, r.y + 52.0, "detail", &status);
    }
}

fn device_class(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Link => "link",
        DeviceKind::Bridge => "bridge",
        DeviceKind::Tunnel => "tunnel",
    }
}

fn row_class(row: Row) -> &'static str {
    match row {
        Row::Application => "app",
        Row::Netfilter => "netfilter",
        Row::Routing => "routing",
        Row::Link => "link",
        Row::Tunnel => "tunnel",
    }
}

fn row_word(row: Row) -> &'static str {
    match row {
        Row::Application => "application",
        Row::Netfilter => "netfilter",
        Row::Routing => "routing",
        Row::Link => "link",
        Row::Tunnel => "tunnel",
    }
}

/// Shortens a text from its middle, so that both ends can be read.
fn shorten(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most.max(3) {
        return text.to_owned();
    }
    let tail = most / 2;
    let head: String = text.chars().take(most.saturating_sub(1 + tail)).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{head}…{end}")
}

/// Text for XML; characters that XML cannot have become `?`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\u{fffe}' | '\u{ffff}' => out.push('?'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, lane as lanes, map as maps, rules as books};
    use kubarium_cluster::{Config, Simulation, kube_proxy};
    use kubarium_shell::Session;

    /// A document is whole when every element that begins ends, and nothing but text stands between.
    fn is_whole(svg: &str) {
        let mut open = Vec::new();
        let mut rest = svg;
        while let Some(at) = rest.find('<') {
            assert!(!rest[..at].contains('>'), "a stray > in {}", &rest[..at]);
            let end = rest[at..].find('>').unwrap() + at;
            let tag = &rest[at + 1..end];
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(tag.split(' ').next().unwrap());
            }
            rest = &rest[end + 1..];
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn pictures_are_whole_and_say_what_is_there() {
        let mut session = Session::new(Simulation::new(Config::default()));
        for line in [
            "kubectl create deployment web --image=nginx --replicas=2",
            "kubectl expose deployment web --port=80",
            "kubectl run client --image=curlimages/curl --command -- sleep infinity",
            "sim settle",
            "sim trace pod/client http://web",
        ] {
            assert_eq!(session.run(line).status, 0, "{line}");
        }
        let trace = session.last_trace.take().unwrap();
        let cluster = &mut session.simulation.cluster;
        kube_proxy::bring_up_to_date(cluster, "worker-1");
        let mut layout = Layout::default();
        layout.update(cluster);
        let drawn = maps::draw(cluster, &layout);
        let way = lanes::lane(&trace);
        let book = books::rule_book(cluster, "worker-1", "nat", None, "");
        for theme in [Theme::Light, Theme::Dark] {
            let pictures = [map(&drawn, theme), lane(&way, theme), rules(&book, theme)];
            pictures.iter().for_each(|svg| is_whole(svg));
            for (svg, words) in pictures.iter().zip([
                &["worker-1", "cbr0", "flannel.1", "client", "kube-apiserver"][..],
                &["pod/client", "client", "netfilter", "DNAT"],
                &["KUBE-SERVICES", "policy ACCEPT", "PREROUTING"],
            ]) {
                for word in words {
                    assert!(svg.contains(word), "{word} is missing");
                }
            }
        }
        assert_ne!(map(&drawn, Theme::Light), map(&drawn, Theme::Dark));
    }

    #[test]
    fn names_cannot_become_elements() {
        let mut drawn = Map::default();
        drawn.hosts.push(kubarium_snapshot::map::Host {
            id: String::new(),
            name: String::new(),
            address: "<script>alert(1)</script>\"&\u{0}".to_owned(),
            rect: Rect::new(0.0, 0.0, 10.0, 10.0),
        });
        let svg = map(&drawn, Theme::Light);
        is_whole(&svg);
        assert!(!svg.contains("<script"), "{svg}");
    }
}
