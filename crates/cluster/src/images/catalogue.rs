//! The table of images. What is told of an image is what its published Dockerfile says.

use super::{Image, Page, Server, ServerProgram, Tools};
use crate::programs::ingress::Controller;

const fn server(
    programs: &'static [&'static str],
    answers: Server,
    tcp: &'static [u16],
) -> ServerProgram {
    ServerProgram {
        programs,
        answers,
        tcp,
        udp: &[],
        ends_at_sigterm: true,
        exit_code: 0,
    }
}

const BASE: Image = Image {
    repository: "",
    newest: "",
    entrypoint: &[],
    cmd: &[],
    env: &[],
    workdir: "/",
    server: None,
    tools: Tools::SHELL,
    size: 30_000_000,
    start_ms: 20,
};

const DEBIAN: Tools = Tools::SHELL.and(Tools::GETENT);
const ALPINE: Tools = Tools::BUSYBOX.and(Tools::GETENT);
const NETSHOOT: Tools = ALPINE
    .and(Tools::CURL)
    .and(Tools::BIND)
    .and(Tools::NET)
    .and(Tools::IP)
    .and(Tools::NETCAT);

/// GoogleCloudPlatform/kubernetes-engine-samples, `hello-app/main.go`.
const HELLO_APP: &str = "Hello, world!\nVersion: {version}.0.0\nHostname: {host}\n";
/// The server of the tutorials on kubernetes.io.
const BOOTCAMP: &str = "Hello Kubernetes bootcamp! | Running on: {host} | v={version}\n";
/// kubernetes/ingress-nginx, `images/echoserver`.
const ECHOSERVER: &str = "\n\nHostname: {host}\n\nPod Information:\n\t-no pod information available-\n\nServer values:\n\tserver_version=nginx: 1.13.3 - lua: 10008\n\nRequest Information:\n\tclient_address={client}\n\tmethod={method}\n\treal path={path}\n\tquery=\n\trequest_version=1.1\n\trequest_scheme=http\n\trequest_uri=http://{to}:8080{path}\n\nRequest Headers:\n\taccept=*/*\n\thost={to}\n\tuser-agent={agent}\n\nRequest Body:\n\t-no body in request-\n\n";
/// rancher/hello-world, shortened to what tells pods apart.
const RANCHER: &str = "<html>\n<head><title>HTTP Hello World</title></head>\n<body>\n<h1>Hello world!</h1>\n<h3>My hostname is {host}</h3>\n</body>\n</html>\n";

/// The usual images, as they are.
pub static CATALOGUE: &[Image] = &[
    Image {
        repository: "docker.io/library/nginx",
        newest: "1.29",
        cmd: &["nginx", "-g", "daemon off;"],
        server: Some(server(
            &["nginx"],
            Server::Page {
                server: "nginx",
                page: Page::Nginx,
            },
            &[80],
        )),
        tools: DEBIAN.and(Tools::CURL),
        size: 72_404_038,
        start_ms: 60,
        ..BASE
    },
    Image {
        repository: "docker.io/nginxinc/nginx-unprivileged",
        newest: "1.29",
        cmd: &["nginx", "-g", "daemon off;"],
        server: Some(server(
            &["nginx"],
            Server::Page {
                server: "nginx",
                page: Page::Nginx,
            },
            &[8080],
        )),
        tools: DEBIAN.and(Tools::CURL),
        size: 72_410_112,
        start_ms: 60,
        ..BASE
    },
    Image {
        repository: "docker.io/library/httpd",
        newest: "2.4",
        cmd: &["httpd-foreground"],
        workdir: "/usr/local/apache2",
        server: Some(server(
            &["httpd-foreground", "httpd", "apachectl"],
            Server::Page {
                server: "Apache/2.4.65 (Unix)",
                page: Page::Apache,
            },
            &[80],
        )),
        tools: DEBIAN,
        size: 59_191_242,
        start_ms: 80,
        ..BASE
    },
    Image {
        repository: "docker.io/library/caddy",
        newest: "2.10",
        cmd: &[
            "caddy",
            "run",
            "--config",
            "/etc/caddy/Caddyfile",
            "--adapter",
            "caddyfile",
        ],
        server: Some(server(&["caddy"], Server::Text("Caddy works!\n"), &[80])),
        tools: ALPINE,
        size: 20_500_102,
        ..BASE
    },
    Image {
        repository: "docker.io/library/redis",
        newest: "8.2",
        entrypoint: &["docker-entrypoint.sh"],
        cmd: &["redis-server"],
        workdir: "/data",
        server: Some(server(
            &["docker-entrypoint.sh", "redis-server"],
            Server::Opaque,
            &[6379],
        )),
        tools: DEBIAN,
        size: 52_120_440,
        start_ms: 40,
        ..BASE
    },
    Image {
        repository: "docker.io/library/memcached",
        newest: "1.6",
        entrypoint: &["docker-entrypoint.sh"],
        cmd: &["memcached"],
        server: Some(server(
            &["docker-entrypoint.sh", "memcached"],
            Server::Opaque,
            &[11211],
        )),
        tools: DEBIAN,
        size: 32_880_122,
        ..BASE
    },
    Image {
        repository: "docker.io/library/postgres",
        newest: "18.1",
        entrypoint: &["docker-entrypoint.sh"],
        cmd: &["postgres"],
        server: Some(server(
            &["docker-entrypoint.sh", "postgres"],
            Server::Opaque,
            &[5432],
        )),
        tools: DEBIAN,
        size: 162_144_870,
        start_ms: 1500,
        ..BASE
    },
    Image {
        repository: "docker.io/library/mysql",
        newest: "9.5",
        entrypoint: &["docker-entrypoint.sh"],
        cmd: &["mysqld"],
        server: Some(server(
            &["docker-entrypoint.sh", "mysqld"],
            Server::Opaque,
            &[3306],
        )),
        tools: DEBIAN,
        size: 275_200_100,
        start_ms: 4000,
        ..BASE
    },
    Image {
        repository: "docker.io/library/mariadb",
        newest: "12.1",
        entrypoint: &["docker-entrypoint.sh"],
        cmd: &["mariadbd"],
        server: Some(server(
            &["docker-entrypoint.sh", "mariadbd"],
            Server::Opaque,
            &[3306],
        )),
        tools: DEBIAN,
        size: 112_300_500,
        start_ms: 3000,
        ..BASE
    },
    Image {
        repository: "docker.io/library/mongo",
        newest: "8.2",
        entrypoint: &["docker-entrypoint.sh"],
        cmd: &["mongod"],
        server: Some(server(
            &["docker-entrypoint.sh", "mongod"],
            Server::Opaque,
            &[27017],
        )),
        tools: DEBIAN,
        size: 315_700_900,
        start_ms: 1200,
        ..BASE
    },
    Image {
        repository: "docker.io/library/rabbitmq",
        newest: "4.2",
        entrypoint: &["docker-entrypoint.sh"],
        cmd: &["rabbitmq-server"],
        server: Some(server(
            &["docker-entrypoint.sh", "rabbitmq-server"],
            Server::Opaque,
            &[5672],
        )),
        tools: DEBIAN,
        size: 99_400_000,
        start_ms: 3500,
        ..BASE
    },
    Image {
        repository: "docker.io/library/busybox",
        newest: "1.37",
        cmd: &["sh"],
        tools: Tools::BUSYBOX,
        size: 2_224_358,
        ..BASE
    },
    Image {
        repository: "docker.io/library/alpine",
        newest: "3.23",
        cmd: &["/bin/sh"],
        tools: ALPINE,
        size: 3_802_452,
        ..BASE
    },
    Image {
        repository: "docker.io/library/debian",
        newest: "13.2",
        cmd: &["bash"],
        tools: DEBIAN,
        size: 49_270_000,
        ..BASE
    },
    Image {
        repository: "docker.io/library/ubuntu",
        newest: "25.10",
        cmd: &["/bin/bash"],
        tools: DEBIAN,
        size: 29_723_000,
        ..BASE
    },
    Image {
        repository: "docker.io/library/bash",
        newest: "5.3",
        entrypoint: &["docker-entrypoint.sh"],
        cmd: &["bash"],
        tools: ALPINE,
        size: 6_000_000,
        ..BASE
    },
    Image {
        repository: "docker.io/library/perl",
        newest: "5.42",
        cmd: &["perl", "-de0"],
        tools: DEBIAN.and(Tools::CURL).and(Tools::WGET),
        size: 356_700_000,
        ..BASE
    },
    Image {
        repository: "docker.io/library/hello-world",
        newest: "",
        cmd: &["/hello"],
        tools: Tools::NONE,
        size: 5_000,
        ..BASE
    },
    Image {
        repository: "docker.io/library/python",
        newest: "3.14",
        cmd: &["python3"],
        server: Some(ServerProgram {
            ends_at_sigterm: false,
            exit_code: 143,
            ..server(
                &["python", "python3"],
                Server::Page {
                    server: "SimpleHTTP/0.6 Python/3.14.0",
                    page: Page::Listing,
                },
                &[8000],
            )
        }),
        tools: DEBIAN.and(Tools::CURL).and(Tools::WGET),
        size: 400_300_000,
        ..BASE
    },
    Image {
        repository: "docker.io/library/node",
        newest: "25.2",
        entrypoint: &["docker-entrypoint.sh"],
        cmd: &["node"],
        server: Some(ServerProgram {
            ends_at_sigterm: false,
            exit_code: 143,
            ..server(
                &["node", "npm", "npx", "yarn"],
                Server::Text("Hello World\n"),
                &[],
            )
        }),
        tools: DEBIAN.and(Tools::CURL).and(Tools::WGET),
        size: 390_100_000,
        ..BASE
    },
    Image {
        repository: "docker.io/library/golang",
        newest: "1.26",
        cmd: &["bash"],
        workdir: "/go",
        tools: DEBIAN.and(Tools::CURL).and(Tools::WGET),
        size: 309_000_000,
        ..BASE
    },
    Image {
        repository: "docker.io/curlimages/curl",
        newest: "8.17",
        entrypoint: &["/entrypoint.sh"],
        cmd: &["curl"],
        tools: ALPINE.and(Tools::CURL),
        size: 9_100_000,
        ..BASE
    },
    Image {
        repository: "docker.io/nicolaka/netshoot",
        newest: "0.15",
        cmd: &["zsh"],
        workdir: "/root",
        tools: NETSHOOT,
        size: 202_000_000,
        ..BASE
    },
    Image {
        repository: "docker.io/praqma/network-multitool",
        newest: "",
        cmd: &["/usr/sbin/nginx", "-g", "daemon off;"],
        server: Some(server(
            &["nginx"],
            Server::Page {
                server: "nginx",
                page: Page::Nginx,
            },
            &[80, 443],
        )),
        tools: NETSHOOT,
        size: 18_000_000,
        ..BASE
    },
    Image {
        repository: "docker.io/hashicorp/http-echo",
        newest: "1.0",
        entrypoint: &["/http-echo"],
        server: Some(ServerProgram {
            exit_code: 0,
            ..server(&["http-echo"], Server::HttpEcho, &[5678])
        }),
        tools: Tools::NONE,
        size: 3_100_000,
        ..BASE
    },
    Image {
        repository: "docker.io/ealen/echo-server",
        newest: "",
        cmd: &["node", "webserver"],
        server: Some(server(&["node", "echo-server"], Server::Echo, &[80])),
        tools: ALPINE,
        size: 45_000_000,
        ..BASE
    },
    Image {
        repository: "docker.io/traefik/whoami",
        newest: "1.11",
        entrypoint: &["/whoami"],
        server: Some(server(&["whoami"], Server::Whoami, &[80])),
        tools: Tools::NONE,
        size: 2_900_000,
        ..BASE
    },
    Image {
        repository: "docker.io/containous/whoami",
        newest: "1.5",
        entrypoint: &["/whoami"],
        server: Some(server(&["whoami"], Server::Whoami, &[80])),
        tools: Tools::NONE,
        size: 2_900_000,
        ..BASE
    },
    Image {
        repository: "registry.k8s.io/ingress-nginx/controller",
        entrypoint: &["/usr/bin/dumb-init", "--"],
        cmd: &["/nginx-ingress-controller"],
        server: Some(server(
            &["dumb-init", "nginx-ingress-controller"],
            Server::Ingress(Controller::Nginx),
            &[80, 443, 8443, 10254],
        )),
        tools: ALPINE.and(Tools::CURL),
        size: 126_000_000,
        start_ms: 400,
        ..BASE
    },
    Image {
        repository: "docker.io/library/traefik",
        newest: "3.6",
        entrypoint: &["/entrypoint.sh"],
        cmd: &["traefik"],
        server: Some(server(
            &["traefik", "entrypoint.sh"],
            Server::Ingress(Controller::Traefik),
            &[80, 8080],
        )),
        tools: ALPINE,
        size: 50_000_000,
        ..BASE
    },
    Image {
        repository: "docker.io/stefanprodan/podinfo",
        newest: "6.9",
        cmd: &["./podinfo"],
        server: Some(server(&["podinfo"], Server::Echo, &[9898])),
        tools: ALPINE.and(Tools::CURL),
        size: 16_000_000,
        ..BASE
    },
    Image {
        repository: "gcr.io/google-samples/hello-app",
        newest: "2.0",
        entrypoint: &["./hello-app"],
        server: Some(server(&["hello-app"], Server::Greeting(HELLO_APP), &[8080])),
        tools: Tools::NONE,
        size: 4_500_000,
        ..BASE
    },
    Image {
        repository: "us-docker.pkg.dev/google-samples/containers/gke/hello-app",
        newest: "2.0",
        entrypoint: &["./hello-app"],
        server: Some(server(&["hello-app"], Server::Greeting(HELLO_APP), &[8080])),
        tools: Tools::NONE,
        size: 4_500_000,
        ..BASE
    },
    Image {
        repository: "gcr.io/google_containers/echoserver",
        newest: "",
        cmd: &["nginx"],
        server: Some(server(&["nginx"], Server::Greeting(ECHOSERVER), &[8080])),
        tools: DEBIAN,
        size: 46_000_000,
        ..BASE
    },
    Image {
        repository: "registry.k8s.io/echoserver",
        newest: "",
        cmd: &["nginx"],
        server: Some(server(&["nginx"], Server::Greeting(ECHOSERVER), &[8080])),
        tools: DEBIAN,
        size: 46_000_000,
        ..BASE
    },
    Image {
        repository: "gcr.io/google-samples/kubernetes-bootcamp",
        newest: "2",
        entrypoint: &[],
        cmd: &["node", "server.js"],
        server: Some(server(&["node"], Server::Greeting(BOOTCAMP), &[8080])),
        tools: DEBIAN.and(Tools::CURL),
        size: 83_600_000,
        ..BASE
    },
    Image {
        repository: "docker.io/jocatalin/kubernetes-bootcamp",
        newest: "2",
        entrypoint: &[],
        cmd: &["node", "server.js"],
        server: Some(server(&["node"], Server::Greeting(BOOTCAMP), &[8080])),
        tools: DEBIAN.and(Tools::CURL),
        size: 83_600_000,
        ..BASE
    },
    Image {
        repository: "docker.io/rancher/hello-world",
        newest: "",
        entrypoint: &["/opt/rancher/hello-world"],
        cmd: &[],
        server: Some(server(&["hello-world"], Server::Greeting(RANCHER), &[80])),
        tools: Tools::NONE,
        size: 6_900_000,
        ..BASE
    },
    Image {
        repository: "registry.k8s.io/hpa-example",
        newest: "",
        entrypoint: &[],
        cmd: &["apache2-foreground"],
        server: Some(server(&["apache2-foreground"], Server::Text("OK!"), &[80])),
        tools: DEBIAN.and(Tools::CURL),
        size: 170_000_000,
        ..BASE
    },
    Image {
        repository: "k8s.gcr.io/hpa-example",
        newest: "",
        entrypoint: &[],
        cmd: &["apache2-foreground"],
        server: Some(server(&["apache2-foreground"], Server::Text("OK!"), &[80])),
        tools: DEBIAN.and(Tools::CURL),
        size: 170_000_000,
        ..BASE
    },
    Image {
        repository: "k8s.gcr.io/echoserver",
        newest: "",
        entrypoint: &[],
        cmd: &["nginx"],
        server: Some(server(&["nginx"], Server::Greeting(ECHOSERVER), &[8080])),
        tools: DEBIAN,
        size: 46_000_000,
        ..BASE
    },
    Image {
        repository: "registry.k8s.io/e2e-test-images/agnhost",
        newest: "2.57",
        entrypoint: &["/agnhost"],
        cmd: &["pause"],
        server: Some(server(&["agnhost"], Server::Agnhost, &[8080])),
        tools: ALPINE.and(Tools::CURL).and(Tools::BIND),
        size: 52_000_000,
        ..BASE
    },
    Image {
        repository: "registry.k8s.io/etcd",
        entrypoint: &["etcd"],
        server: Some(server(&["etcd"], Server::Opaque, &[2379])),
        tools: Tools::NONE,
        size: 22_883_000,
        start_ms: 300,
        ..BASE
    },
    Image {
        repository: "registry.k8s.io/pause",
        newest: "3.10",
        entrypoint: &["/pause"],
        server: Some(ServerProgram {
            exit_code: 0,
            ..server(&["pause"], Server::Opaque, &[])
        }),
        tools: Tools::NONE,
        size: 320_368,
        ..BASE
    },
    Image {
        repository: "registry.k8s.io/coredns/coredns",
        newest: "1.15",
        entrypoint: &["/coredns"],
        server: Some(ServerProgram {
            udp: &[53],
            ..server(&["coredns"], Server::Dns, &[53, 8080, 8181, 9153])
        }),
        tools: Tools::NONE,
        size: 20_939_036,
        start_ms: 150,
        ..BASE
    },
];

const WEB: ServerProgram = ServerProgram {
    udp: &[80],
    ..server(&["web"], Server::Echo, &[80])
};
const SMALL: Image = Image {
    env: &[("PATH", "/usr/local/bin:/bin:/usr/bin:/sbin:/usr/sbin")],
    cmd: &["web", "80"],
    server: Some(WEB),
    tools: Tools::BUSYBOX,
    size: 3_645_967,
    start_ms: 5,
    ..BASE
};
const SMALL_TOOLS: Tools = Tools::BUSYBOX
    .and(Tools::CURL)
    .and(Tools::BIND)
    .and(Tools::IP);

/// The images of a test registry, as private clusters without access to the outside have them: the
/// usual servers' names stand for one small server that tells who asks ([`Server::Echo`]), on
/// BusyBox.
pub static TESTING: &[Image] = &[
    Image {
        repository: "docker.io/library/nginx",
        newest: "1.28",
        ..SMALL
    },
    Image {
        repository: "docker.io/library/httpd",
        newest: "2.4",
        ..SMALL
    },
    Image {
        repository: "docker.io/library/redis",
        newest: "7",
        cmd: &["web", "6379"],
        ..SMALL
    },
    Image {
        repository: "docker.io/library/busybox",
        newest: "1.37",
        cmd: &["sh"],
        server: None,
        size: 1_088_850,
        ..SMALL
    },
    Image {
        repository: "docker.io/library/alpine",
        newest: "3.23",
        cmd: &["sh"],
        server: None,
        size: 1_088_850,
        ..SMALL
    },
    Image {
        repository: "docker.io/library/perl",
        newest: "5.42",
        cmd: &["sleep", "2147483647"],
        server: None,
        tools: SMALL_TOOLS,
        size: 29_325_238,
        ..SMALL
    },
    Image {
        repository: "docker.io/curlimages/curl",
        newest: "8.17",
        cmd: &["sleep", "2147483647"],
        server: None,
        tools: SMALL_TOOLS,
        size: 29_325_238,
        ..SMALL
    },
    Image {
        repository: "docker.io/nicolaka/netshoot",
        newest: "0.15",
        cmd: &["sleep", "2147483647"],
        server: None,
        tools: SMALL_TOOLS,
        size: 29_325_238,
        ..SMALL
    },
];
