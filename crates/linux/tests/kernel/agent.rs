//! A process in a network namespace that does what it is told, a line at a time: runs a script, serves, connects.

use std::io::{self, BufRead, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

pub fn run() -> ExitCode {
    let mut input = io::stdin().lock();
    let mut line = String::new();
    loop {
        line.clear();
        if input.read_line(&mut line).is_err() || line.is_empty() {
            return ExitCode::SUCCESS;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["sh", length] => {
                let mut script = vec![0; length.parse().unwrap_or(0)];
                match input.read_exact(&mut script) {
                    Ok(()) => shell(&script),
                    Err(error) => format!("1 {error}"),
                }
            }
            ["listen", name, addresses, ports] => listen(name, addresses, ports),
            ["tcp", to, bytes, patience] => tcp(to, bytes, patience),
            ["udp", to, patience] => udp(to, patience),
            ["icmp", to, patience] => icmp(to, patience),
            _ => format!("what is {line:?}?"),
        };
        let mut output = io::stdout().lock();
        let sent = write!(output, "{}\n{answer}", answer.len()).and_then(|()| output.flush());
        if sent.is_err() {
            return ExitCode::FAILURE;
        }
    }
}

fn shell(script: &[u8]) -> String {
    let run = || -> io::Result<(Option<i32>, String)> {
        let mut child = Command::new("sh")
            .args(["-e"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let script = script.to_vec();
        let writer = std::thread::spawn(move || input.write_all(&script));
        let output = child.wait_with_output()?;
        let _ = writer.join();
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8_lossy(&text).into()))
    };
    match run() {
        Ok((code, text)) => format!("{} {text}", code.unwrap_or(-1)),
        Err(error) => format!("-1 {error}"),
    }
}

/// Says who is served and by whom, and answers from the address that was asked.
fn listen(name: &str, addresses: &str, ports: &str) -> String {
    for port in ports.split(',').filter_map(|p| p.parse::<u16>().ok()) {
        let Ok(listener) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) else {
            return format!("cannot listen on {port}");
        };
        let name_of = name.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let name = name_of.clone();
                std::thread::spawn(move || serve(stream, &name));
            }
        });
        for address in addresses
            .split(',')
            .filter_map(|a| a.parse::<Ipv4Addr>().ok())
        {
            let Ok(socket) = UdpSocket::bind((address, port)) else {
                return format!("cannot listen on {address}:{port}");
            };
            let name = name.to_owned();
            std::thread::spawn(move || {
                let mut buffer = [0; 2048];
                while let Ok((_, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(format!("{name} {}", from.ip()).as_bytes(), from);
                }
            });
        }
    }
    "ok".to_owned()
}

fn serve(mut stream: TcpStream, name: &str) -> io::Result<()> {
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    let mut rest = u64::from_be_bytes(length).min(1 << 20);
    let mut buffer = [0; 4096];
    while rest > 0 {
        let got = stream.read(&mut buffer)?;
        if got == 0 {
            return Ok(());
        }
        rest = rest.saturating_sub(got as u64);
    }
    let text = format!("{name} {}", stream.peer_addr()?.ip());
    stream.write_all(&[text.len() as u8])?;
    stream.write_all(text.as_bytes())?;
    // The client closes first.
    let _ = stream.read(&mut buffer);
    Ok(())
}

fn verdict(error: &io::Error) -> &'static str {
    const EPERM: i32 = 1;
    const ECONNREFUSED: i32 = 111;
    const ENOPROTOOPT: i32 = 92;
    const ENONET: i32 = 64;
    const EINVAL: i32 = 22;
    const EACCES: i32 = 13;
    const ENETUNREACH: i32 = 101;
    const EHOSTDOWN: i32 = 112;
    const EHOSTUNREACH: i32 = 113;
    match error.raw_os_error() {
        Some(EPERM) => "denied",
        Some(ECONNREFUSED | ENOPROTOOPT) => "refused",
        Some(ENONET | EINVAL | EACCES | ENETUNREACH | EHOSTDOWN | EHOSTUNREACH) => "unreachable",
        _ => "timeout",
    }
}

fn destination(text: &str) -> SocketAddr {
    let nowhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    SocketAddr::V4(text.parse().unwrap_or(nowhere))
}

fn span(text: &str) -> Duration {
    Duration::from_millis(text.parse().unwrap_or(500))
}

fn tcp(to: &str, bytes: &str, patience: &str) -> String {
    let patience = span(patience);
    let mut stream = match TcpStream::connect_timeout(&destination(to), patience) {
        Ok(stream) => stream,
        // Connected, and reset before it was noticed.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            return "stalled".to_owned();
        }
        Err(error) => return verdict(&error).to_owned(),
    };
    let mut exchange = || -> io::Result<String> {
        stream.set_read_timeout(Some(patience * 2))?;
        stream.set_write_timeout(Some(patience * 2))?;
        let bytes: u64 = bytes.parse().unwrap_or(72);
        stream.write_all(&bytes.to_be_bytes())?;
        stream.write_all(&vec![b'x'; bytes as usize])?;
        let mut length = [0];
        stream.read_exact(&mut length)?;
        let mut text = vec![0; usize::from(length[0])];
        stream.read_exact(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into())
    };
    match exchange() {
        Ok(text) => format!("connected {text}"),
        Err(_) => "stalled".to_owned(),
    }
}

fn udp(to: &str, patience: &str) -> String {
    let exchange = || -> io::Result<String> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(span(patience)))?;
        socket.connect(destination(to))?;
        socket.send(&[b'x'; 32])?;
        let mut buffer = [0; 2048];
        let got = socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..got]).into())
    };
    match exchange() {
        Ok(text) => format!("connected {text}"),
        Err(error) => verdict(&error).to_owned(),
    }
}

/// By the program ping: what it says of the one echo.
fn icmp(to: &str, patience: &str) -> String {
    let seconds = format!("{:.1}", span(patience).as_secs_f64());
    let started = Instant::now();
    let run = Command::new("ping")
        .args(["-n", "-c", "1", "-W", &seconds, to])
        .output();
    let Ok(output) = run else {
        return "no ping".to_owned();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    if text.contains("1 received") {
        return "connected".to_owned();
    }
    let error = text.lines().find(|l| l.starts_with("From "));
    if let Some(error) = error {
        let mut words = error.split_whitespace().skip(1);
        let from = words.next().unwrap_or("?").trim_end_matches(':');
        let said: Vec<&str> = words.skip(1).collect();
        return format!("{} from {from}", said.join(" "));
    }
    if started.elapsed() < span(patience) / 2 {
        return "unreachable".to_owned();
    }
    "timeout".to_owned()
}
