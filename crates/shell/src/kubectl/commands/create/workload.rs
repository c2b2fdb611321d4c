//! `kubectl create deployment|job|cronjob|poddisruptionbudget`

use kubarium_objects::selector::Operator;
use kubarium_objects::{Selector, Value, array, object};

use crate::kubectl::Kubectl;
use crate::kubectl::command::{Command, DRY_RUN, PRINT, SAVE_CONFIG, VALIDATE};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Kind, flag, list, text};

pub(crate) const DEPLOYMENT: Command = Command::new(
    "deployment",
    "NAME --image=image -- [COMMAND] [args...] [options]",
    "Create a deployment with the specified name",
    deployment,
)
.flags(&[
    PRINT,
    DRY_RUN,
    SAVE_CONFIG,
    VALIDATE,
    &[
        list("image", "Image names to run.").required(),
        flag(
            "port",
            Kind::Int,
            "-1",
            "The containerPort that this deployment exposes.",
        ),
        flag(
            "replicas",
            Kind::Int,
            "1",
            "Number of replicas to create. Default is 1.",
        )
        .short('r'),
    ],
])
.aliases(&["deploy"])
.changing();

/// The container name that an image gives: `docker.io/nginx:1.27` is `nginx`.
pub(crate) fn container_name(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let name = last.split([':', '@']).next().unwrap_or(last);
    name.to_owned()
}

fn deployment(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    let images = k.flags.list("image").to_vec();
    let command = k.command_words();
    if images.len() > 1 && !command.is_empty() {
        return plain("cannot specify multiple --image options and command");
    }
    let port = k.flags.int("port");
    let containers = images.iter().map(|image| {
        let mut container = object([
            ("image", image.as_str().into()),
            ("name", container_name(image).into()),
            ("resources", Value::new_object()),
        ]);
        if !command.is_empty() {
            container["command"] = array(command.clone());
        }
        if port >= 0 {
            container["ports"] = array([object([("containerPort", port.into())])]);
        }
        container
    });
    let labels = object([("app", name.as_str().into())]);
    let template = object([
        ("metadata", object([("labels", labels.clone())])),
        ("spec", object([("containers", array(containers))])),
    ]);
    let made = object([
        ("apiVersion", "apps/v1".into()),
        ("kind", "Deployment".into()),
        (
            "metadata",
            object([("labels", labels.clone()), ("name", name.as_str().into())]),
        ),
        (
            "spec",
            object([
                ("replicas", k.flags.int("replicas").into()),
                ("selector", object([("matchLabels", labels)])),
                ("strategy", Value::new_object()),
                ("template", template),
            ]),
        ),
        ("status", Value::new_object()),
    ]);
    k.generate(made, "failed to create deployment: ", "created")
}

pub(crate) const JOB: Command = Command::new(
    "job",
    "NAME --image=image [--from=cronjob/name] -- [COMMAND] [args...] [options]",
    "Create a job with the specified name",
    job,
)
.flags(&[
    PRINT,
    DRY_RUN,
    SAVE_CONFIG,
    VALIDATE,
    &[
        text(
            "from",
            "The name of the resource to create a Job from (only cronjob is supported).",
        ),
        text("image", "Image name to run."),
    ],
])
.changing();

fn pod_spec(name: &str, image: &str, command: Vec<Value>, restart: &str) -> Value {
    let mut container = object([
        ("image", image.into()),
        ("name", name.into()),
        ("resources", Value::new_object()),
    ]);
    if !command.is_empty() {
        container["command"] = array(command);
    }
    object([
        ("containers", array([container])),
        ("restartPolicy", restart.into()),
    ])
}

fn job(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    let (image, from) = (
        k.flags.str("image").to_owned(),
        k.flags.str("from").to_owned(),
    );
    let command = k.command_words();
    match (image.is_empty(), from.is_empty()) {
        (true, true) | (false, false) => {
            return plain("either --image or --from must be specified");
        }
        (true, false) if !command.is_empty() => return plain("cannot specify --from and command"),
        _ => {}
    }
    if from.is_empty() {
        let template = object([
            ("metadata", Value::new_object()),
            ("spec", pod_spec(&name, &image, command, "Never")),
        ]);
        let made = object([
            ("apiVersion", "batch/v1".into()),
            ("kind", "Job".into()),
            ("metadata", object([("name", name.as_str().into())])),
            ("spec", object([("template", template)])),
            ("status", Value::new_object()),
        ]);
        return k.generate(made, "failed to create job: ", "created");
    }
    let (kind, cron) = from.split_once('/').unwrap_or(("cronjob", &from));
    let resource = k.mapping(kind)?;
    let namespace = k.namespace();
    let cron = k.read(&resource, &namespace, cron)?;
    if &*resource.id() != "cronjobs.batch" {
        // The type as Go has it.
        let version = &resource.version;
        return plain(format!("unknown object type *{version}.{}", resource.kind));
    }
    let template = &cron["spec"]["jobTemplate"];
    let mut annotations = template["metadata"]["annotations"].clone();
    annotations["cronjob.kubernetes.io/instantiate"] = "manual".into();
    let mut metadata = object([("annotations", annotations), ("name", name.as_str().into())]);
    if !template["metadata"]["labels"].is_null() {
        metadata["labels"] = template["metadata"]["labels"].clone();
    }
    let owner = object([
        ("apiVersion", "batch/v1".into()),
        ("controller", true.into()),
        ("kind", "CronJob".into()),
        ("name", cron["metadata"]["name"].clone()),
        ("uid", cron["metadata"]["uid"].clone()),
    ]);
    metadata["ownerReferences"] = array([owner]);
    let made = object([
        ("apiVersion", "batch/v1".into()),
        ("kind", "Job".into()),
        ("metadata", metadata),
        ("spec", template["spec"].clone()),
        ("status", Value::new_object()),
    ]);
    k.generate(made, "failed to create job: ", "created")
}

pub(crate) const CRON_JOB: Command = Command::new(
    "cronjob",
    "NAME --image=image --schedule='0/5 * * * ?' -- [COMMAND] [args...] [flags] [options]",
    "Create a cron job with the specified name",
    cron_job,
)
.flags(&[
    PRINT,
    DRY_RUN,
    SAVE_CONFIG,
    VALIDATE,
    &[
        text("image", "Image name to run.").required(),
        text(
            "restart",
            "job's restart policy. supported values: OnFailure, Never",
        ),
        text(
            "schedule",
            "A schedule in the Cron format the job should be run with.",
        )
        .required(),
    ],
])
.aliases(&["cj"])
.changing();

fn cron_job(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    let restart = match k.flags.str("restart") {
        "" => "OnFailure".to_owned(),
        given => given.to_owned(),
    };
    let spec = pod_spec(&name, k.flags.str("image"), k.command_words(), &restart);
    let template = object([("metadata", Value::new_object()), ("spec", spec)]);
    let job = object([
        ("metadata", object([("name", name.as_str().into())])),
        ("spec", object([("template", template)])),
    ]);
    let made = object([
        ("apiVersion", "batch/v1".into()),
        ("kind", "CronJob".into()),
        ("metadata", object([("name", name.as_str().into())])),
        (
            "spec",
            object([
                ("jobTemplate", job),
                ("schedule", k.flags.str("schedule").into()),
            ]),
        ),
        ("status", Value::new_object()),
    ]);
    k.generate(made, "failed to create cronjob: ", "created")
}

pub(crate) const DISRUPTION_BUDGET: Command = Command::new(
    "poddisruptionbudget",
    "NAME --selector=SELECTOR --min-available=N [--dry-run=server|client|none] [options]",
    "Create a pod disruption budget with the specified name",
    disruption_budget,
)
.flags(&[
    PRINT,
    DRY_RUN,
    SAVE_CONFIG,
    VALIDATE,
    &[
        text("max-unavailable", "The maximum number or percentage of unavailable pods this budget requires."),
        text("min-available", "The minimum number or percentage of available pods this budget requires."),
        text("selector", "A label selector to use for this budget. Only equality-based selector requirements are supported."),
    ],
])
.aliases(&["pdb"])
.changing();

fn disruption_budget(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    let (min, max) = (
        k.flags.str("min-available").to_owned(),
        k.flags.str("max-unavailable").to_owned(),
    );
    let selector = k.flags.str("selector").to_owned();
    if selector.is_empty() {
        return plain("a selector must be specified");
    }
    if min.is_empty() && max.is_empty() {
        return plain("one of min-available or max-unavailable must be specified");
    }
    if !min.is_empty() && !max.is_empty() {
        return plain("min-available and max-unavailable cannot be both specified");
    }
    for (flag, value) in [("min-available", &min), ("max-unavailable", &max)] {
        let number = value.strip_suffix('%').unwrap_or(value);
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        if !value.is_empty() && !digits {
            return plain(format!("invalid format specified for {flag}"));
        }
    }
    let mut spec = object([("selector", label_selector(&selector)?)]);
    for (field, value) in [("minAvailable", min), ("maxUnavailable", max)] {
        if !value.is_empty() {
            spec[field] = value
                .parse::<i64>()
                .map_or(Value::from(value.as_str()), Value::from);
        }
    }
    let zero = [
        "currentHealthy",
        "desiredHealthy",
        "disruptionsAllowed",
        "expectedPods",
    ];
    let mut status = Value::new_object();
    zero.iter().for_each(|field| status[*field] = 0.into());
    let made = object([
        ("apiVersion", "policy/v1".into()),
        ("kind", "PodDisruptionBudget".into()),
        ("metadata", object([("name", name.as_str().into())])),
        ("spec", spec),
        ("status", status),
    ]);
    k.generate(made, "failed to create poddisruptionbudgets: ", "created")
}

/// A selector's text as `matchLabels` and `matchExpressions` (`metav1.ParseToLabelSelector`).
fn label_selector(text: &str) -> Result<Value> {
    let selector = Selector::parse(text).map_err(|e| Error::Plain(e.to_string()))?;
    let mut made = Value::new_object();
    for requirement in selector.requirements() {
        let operator = match requirement.operator {
            Operator::Equals | Operator::DoubleEquals => {
                let value = requirement.values.first();
                made["matchLabels"][&*requirement.key] = value.cloned().unwrap_or_default().into();
                continue;
            }
            Operator::In => "In",
            Operator::NotIn | Operator::NotEquals => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
            Operator::GreaterThan | Operator::LessThan => {
                return plain(format!(
                    "{text:?} compares numbers, which no label selector does"
                ));
            }
        };
        let mut expression = object([
            ("key", requirement.key.clone().into()),
            ("operator", operator.into()),
        ]);
        if !requirement.values.is_empty() {
            expression["values"] = array(requirement.values.clone());
        }
        made["matchExpressions"].push(expression);
    }
    Ok(made)
}
