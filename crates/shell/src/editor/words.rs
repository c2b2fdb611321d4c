//! A sentence on each of the kinds and fields that people meet most.

/// By kind, or by struct and field; in order.
const WORDS: &[(&str, &str)] = &[
    ("ClusterRole", "What may be done, in all namespaces."),
    ("ClusterRoleBinding", "Who has a ClusterRole."),
    (
        "ConfigMap",
        "Settings that containers read as files or variables.",
    ),
    (
        "ConfigMapKeySelector.key",
        "Which of the ConfigMap's entries.",
    ),
    (
        "ConfigMapKeySelector.optional",
        "With true a missing ConfigMap or key does no harm.",
    ),
    (
        "Container.args",
        "The arguments; in place of the image's CMD.",
    ),
    (
        "Container.command",
        "The program; in place of the image's ENTRYPOINT. No shell reads it.",
    ),
    ("Container.env", "Environment variables of the container."),
    (
        "Container.envFrom",
        "All entries of a ConfigMap or a Secret as variables.",
    ),
    (
        "Container.image",
        "The image that is run, as registry/name:tag.",
    ),
    (
        "Container.imagePullPolicy",
        "Whether the kubelet asks the registry before it starts the container.",
    ),
    (
        "Container.lifecycle",
        "What is run right after the start, and before the stop.",
    ),
    (
        "Container.livenessProbe",
        "Where it fails, the container is started anew.",
    ),
    (
        "Container.name",
        "The container's name, its own within the pod.",
    ),
    (
        "Container.ports",
        "Ports that are worth a name. A process listens whether they stand here or not.",
    ),
    (
        "Container.readinessProbe",
        "While it fails, Services send the pod nothing.",
    ),
    (
        "Container.resources",
        "What the container asks for, and the most that it gets.",
    ),
    (
        "Container.restartPolicy",
        "Always makes an init container a sidecar, which goes on beside the others.",
    ),
    (
        "Container.securityContext",
        "User, capabilities and the like, for this container.",
    ),
    (
        "Container.startupProbe",
        "Until it succeeds, the other probes wait.",
    ),
    (
        "Container.volumeMounts",
        "Which of the pod's volumes are seen where.",
    ),
    (
        "ContainerPort.containerPort",
        "The port on the pod's address.",
    ),
    (
        "ContainerPort.hostPort",
        "The same port on the node, too; one pod a node can have it.",
    ),
    (
        "ContainerPort.name",
        "A name that a Service's targetPort can use.",
    ),
    ("CronJob", "Makes a Job whenever the clock says so."),
    (
        "CronJobSpec.concurrencyPolicy",
        "What becomes of a new Job while the last one still runs.",
    ),
    (
        "CronJobSpec.schedule",
        "When: minute, hour, day, month, weekday.",
    ),
    ("CronJobSpec.suspend", "With true no Job is made."),
    ("DaemonSet", "One pod on each node that fits."),
    (
        "Deployment",
        "Keeps so many alike pods, and replaces them step by step when the template changes.",
    ),
    (
        "DeploymentSpec.minReadySeconds",
        "How long a pod must be ready before it counts as available.",
    ),
    (
        "DeploymentSpec.paused",
        "With true a changed template is not rolled out.",
    ),
    (
        "DeploymentSpec.progressDeadlineSeconds",
        "How long a rollout may stand still before it is said to have failed.",
    ),
    ("DeploymentSpec.replicas", "How many pods there are to be."),
    (
        "DeploymentSpec.revisionHistoryLimit",
        "How many old ReplicaSets are kept, to go back to.",
    ),
    (
        "DeploymentSpec.selector",
        "Which pods are its own. It cannot be changed later.",
    ),
    (
        "DeploymentSpec.strategy",
        "How old pods give way to new ones.",
    ),
    (
        "DeploymentSpec.template",
        "The pod that is made, again and again.",
    ),
    (
        "EndpointSlice",
        "Addresses behind a Service, with whether they are ready.",
    ),
    (
        "EnvVar.value",
        "The variable's value; $(NAME) stands for another's.",
    ),
    ("EnvVar.valueFrom", "Where the value comes from, instead."),
    ("HTTPGetAction.path", "What is asked for."),
    (
        "HTTPGetAction.port",
        "The port, by number or by its name in the container.",
    ),
    ("HTTPIngressPath.path", "The path that is looked for."),
    (
        "HTTPIngressPath.pathType",
        "Whether the path must be the same, or the beginning.",
    ),
    (
        "HorizontalPodAutoscaler",
        "Changes a number of replicas so that a measure stays where it should.",
    ),
    (
        "HorizontalPodAutoscalerSpec.maxReplicas",
        "Never more than this.",
    ),
    (
        "HorizontalPodAutoscalerSpec.metrics",
        "What is measured, and where it should stay.",
    ),
    (
        "HorizontalPodAutoscalerSpec.minReplicas",
        "Never fewer than this.",
    ),
    (
        "HorizontalPodAutoscalerSpec.scaleTargetRef",
        "Whose replicas are changed.",
    ),
    (
        "Ingress",
        "Rules by which a controller at the cluster's edge leads HTTP to Services.",
    ),
    (
        "IngressSpec.defaultBackend",
        "Where requests go that no rule takes.",
    ),
    (
        "IngressSpec.ingressClassName",
        "Which controller carries it out.",
    ),
    (
        "IngressSpec.rules",
        "Which host and path leads to which Service.",
    ),
    ("IngressSpec.tls", "Certificates, by host."),
    ("Job", "Runs pods until so many have ended well."),
    (
        "JobSpec.activeDeadlineSeconds",
        "How long it may take in all.",
    ),
    ("JobSpec.backoffLimit", "How many failures are too many."),
    ("JobSpec.completions", "How many pods must end well."),
    ("JobSpec.parallelism", "How many run at a time."),
    (
        "JobSpec.ttlSecondsAfterFinished",
        "How long it is kept once it has ended.",
    ),
    (
        "LabelSelector.matchExpressions",
        "Conditions on labels, all of which must hold.",
    ),
    (
        "LabelSelector.matchLabels",
        "Labels that must be there, with these values.",
    ),
    (
        "LimitRange",
        "The least, the most and the usual that pods of a namespace may ask for.",
    ),
    ("Namespace", "A space for names, quotas and rights."),
    (
        "NetworkPolicy",
        "Which traffic the selected pods may have. What no policy selects may do everything.",
    ),
    (
        "NetworkPolicySpec.egress",
        "What selected pods may ask. An empty list: nothing.",
    ),
    (
        "NetworkPolicySpec.ingress",
        "Who may ask selected pods. An empty list: nobody.",
    ),
    (
        "NetworkPolicySpec.podSelector",
        "Which pods it is about; {} for all of the namespace.",
    ),
    (
        "NetworkPolicySpec.policyTypes",
        "Which directions it restricts.",
    ),
    ("Node", "A machine on which pods run."),
    (
        "ObjectMeta.annotations",
        "Notes for programs and people; nothing selects by them.",
    ),
    (
        "ObjectMeta.finalizers",
        "Who must still clean up before the object can go.",
    ),
    (
        "ObjectMeta.generateName",
        "The beginning of a name that the API server ends.",
    ),
    (
        "ObjectMeta.labels",
        "Short facts, by which selectors find the object.",
    ),
    (
        "ObjectMeta.name",
        "The object's name, its own among its kind in the namespace.",
    ),
    ("ObjectMeta.namespace", "The namespace that it lives in."),
    (
        "ObjectMeta.ownerReferences",
        "Whose it is: when all owners go, it goes as well.",
    ),
    ("PersistentVolume", "A piece of storage in the cluster."),
    (
        "PersistentVolumeClaim",
        "A wish for storage, which is bound to a volume.",
    ),
    (
        "PersistentVolumeClaimSpec.accessModes",
        "From how many nodes it is used, and how.",
    ),
    (
        "PersistentVolumeClaimSpec.resources",
        "How much storage is wanted.",
    ),
    (
        "PersistentVolumeClaimSpec.storageClassName",
        "Who makes the volume; \"\" for nobody.",
    ),
    (
        "Pod",
        "Containers that live and die together and share one address.",
    ),
    (
        "PodDisruptionBudget",
        "How many pods must stay when nodes are drained.",
    ),
    (
        "PodSpec.activeDeadlineSeconds",
        "How long the pod may run in all.",
    ),
    (
        "PodSpec.affinity",
        "Which nodes, and the company of which pods, it wants or shuns.",
    ),
    (
        "PodSpec.automountServiceAccountToken",
        "Whether the API's token is put into its containers.",
    ),
    ("PodSpec.containers", "What runs in it, side by side."),
    ("PodSpec.dnsPolicy", "Whose name server it asks."),
    ("PodSpec.hostAliases", "Lines for /etc/hosts."),
    (
        "PodSpec.hostNetwork",
        "With true it has the node's own network, and no address of its own.",
    ),
    (
        "PodSpec.imagePullSecrets",
        "With which Secrets the registry lets it in.",
    ),
    (
        "PodSpec.initContainers",
        "What runs before, one after the other, each to its end.",
    ),
    ("PodSpec.nodeName", "The node, past the scheduler."),
    ("PodSpec.nodeSelector", "Labels that the node must have."),
    (
        "PodSpec.priorityClassName",
        "How important it is: others may have to go for it.",
    ),
    (
        "PodSpec.restartPolicy",
        "Whether containers that end are started anew.",
    ),
    (
        "PodSpec.securityContext",
        "User, groups and the like, for all its containers.",
    ),
    (
        "PodSpec.serviceAccountName",
        "As whom its programs speak to the API.",
    ),
    (
        "PodSpec.terminationGracePeriodSeconds",
        "How long it has between SIGTERM and SIGKILL.",
    ),
    (
        "PodSpec.tolerations",
        "Which taints of nodes it does not mind.",
    ),
    (
        "PodSpec.topologySpreadConstraints",
        "How evenly pods are spread over zones or nodes.",
    ),
    ("PodSpec.volumes", "What containers can mount."),
    ("PriorityClass", "A name for how important pods are."),
    (
        "Probe.failureThreshold",
        "How many failures in a row count.",
    ),
    (
        "Probe.initialDelaySeconds",
        "How long the first one waits after the start.",
    ),
    ("Probe.periodSeconds", "How often."),
    (
        "Probe.successThreshold",
        "How many successes in a row count.",
    ),
    ("Probe.timeoutSeconds", "How long an answer may take."),
    (
        "ReplicaSet",
        "Keeps so many alike pods. Deployments make them.",
    ),
    (
        "ResourceQuota",
        "The most that a namespace may have and ask for.",
    ),
    (
        "ResourceRequirements.limits",
        "The most that it gets: above its memory it is killed, above its CPU it is slowed.",
    ),
    (
        "ResourceRequirements.requests",
        "What the scheduler sets aside for it on a node.",
    ),
    ("Role", "What may be done in its namespace."),
    (
        "RoleBinding",
        "Who has a Role, or a ClusterRole in this namespace alone.",
    ),
    (
        "RollingUpdateDeployment.maxSurge",
        "How many pods more than replicas there may be on the way.",
    ),
    (
        "RollingUpdateDeployment.maxUnavailable",
        "How many pods fewer than replicas may be available on the way.",
    ),
    ("Secret", "Like a ConfigMap, for what is not everybody's."),
    ("SecretKeySelector.key", "Which of the Secret's entries."),
    ("Service", "One address for changing pods."),
    (
        "ServiceAccount",
        "As whom programs in pods speak to the API.",
    ),
    (
        "ServicePort.name",
        "The port's name; needed where there are several.",
    ),
    (
        "ServicePort.nodePort",
        "The port on every node, from 30000 to 32767; left open, one is found.",
    ),
    ("ServicePort.port", "The port on the Service's address."),
    ("ServicePort.protocol", "TCP, UDP or SCTP."),
    (
        "ServicePort.targetPort",
        "The pods' port: a number, or its name in the container. Left open, the same as port.",
    ),
    (
        "ServiceSpec.clusterIP",
        "Its address; None for a headless Service, whose name leads to the pods themselves.",
    ),
    ("ServiceSpec.externalName", "A DNS name that it stands for."),
    (
        "ServiceSpec.externalTrafficPolicy",
        "Local: only pods of the node that was asked, who then see the client's address.",
    ),
    (
        "ServiceSpec.internalTrafficPolicy",
        "Local: only pods of the node from which it is asked.",
    ),
    (
        "ServiceSpec.ports",
        "On which ports it answers, and to which of the pods' ports they lead.",
    ),
    (
        "ServiceSpec.publishNotReadyAddresses",
        "With true pods are found before they are ready.",
    ),
    (
        "ServiceSpec.selector",
        "Labels of the pods that stand behind it.",
    ),
    (
        "ServiceSpec.sessionAffinity",
        "ClientIP: the same client gets the same pod.",
    ),
    (
        "ServiceSpec.type",
        "From where it is reached: the cluster, each node, a load balancer; or a DNS name alone.",
    ),
    (
        "StatefulSet",
        "Pods with names that stay, in order, each with storage of its own.",
    ),
    (
        "StatefulSetSpec.serviceName",
        "The headless Service that gives each pod its DNS name.",
    ),
    (
        "StatefulSetSpec.volumeClaimTemplates",
        "The storage that each pod gets and keeps.",
    ),
    ("StorageClass", "A kind of storage, and who makes it."),
    (
        "Toleration.tolerationSeconds",
        "For how long; left open, for ever.",
    ),
    ("Volume.configMap", "The entries of a ConfigMap as files."),
    ("Volume.emptyDir", "A folder that lives as long as the pod."),
    ("Volume.hostPath", "A folder of the node."),
    ("Volume.persistentVolumeClaim", "The storage of a claim."),
    ("Volume.projected", "Several sources in one folder."),
    ("Volume.secret", "The entries of a Secret as files."),
    ("VolumeMount.mountPath", "Where in the container."),
    ("VolumeMount.name", "Which of the pod's volumes."),
    ("VolumeMount.readOnly", "With true it cannot be written."),
    (
        "VolumeMount.subPath",
        "Only this file or folder of the volume.",
    ),
];

/// What there is to say of a kind, or of a field of a struct (`PodSpec.volumes`); may be empty.
pub(crate) fn of(name: &str) -> &'static str {
    let at = WORDS.binary_search_by(|(have, _)| (*have).cmp(name));
    at.ok()
        .and_then(|at| WORDS.get(at))
        .map_or("", |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kubarium_objects::{Schema, Type, TypeId};

    use super::*;

    fn fields_below(id: TypeId, seen: &mut BTreeSet<TypeId>, names: &mut BTreeSet<String>) {
        if !seen.insert(id) {
            return;
        }
        match Schema::builtin().get(id) {
            Type::Struct(s) => {
                for field in &s.fields {
                    names.insert(format!("{}.{}", s.name, field.name));
                    fields_below(field.type_id, seen, names);
                }
            }
            Type::List(of) | Type::Map(of, _) => fields_below(*of, seen, names),
            _ => {}
        }
    }

    #[test]
    fn every_sentence_is_about_something_and_is_found() {
        let (mut seen, mut names) = (BTreeSet::new(), BTreeSet::new());
        for resource in Schema::builtin().resources() {
            names.insert(resource.kind.to_string());
            fields_below(resource.type_id, &mut seen, &mut names);
        }
        for (name, words) in WORDS {
            assert!(names.contains(*name), "there is no {name}");
            assert_eq!(of(name), *words, "{name} is out of order");
        }
    }
}
