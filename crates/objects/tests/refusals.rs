//! What the API server says of objects that are wrong: one line a mistake. The texts are those of
//! Kubernetes v1.37, `pkg/apis/*/validation`.

use kubarium_objects::{Schema, Value, decode, defaults, validation, yaml};

fn read(text: &str) -> (&'static kubarium_objects::schema::Resource, Value) {
    let given = yaml::parse(text).unwrap().remove(0).value;
    let schema = Schema::builtin();
    let (version, kind) = (given["apiVersion"].str(), given["kind"].str());
    let resource = schema.by_kind(version, kind).expect(text);
    let mut object = decode::decode(schema, resource.type_id, &given).expect(text);
    defaults::apply(resource, &mut object);
    (resource, object)
}

#[track_caller]
fn says(text: &str, want: &str) {
    let (resource, object) = read(text);
    let found: Vec<String> = validation::create(resource, &object)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(found.join("\n"), want, "{text}");
}

#[track_caller]
fn pod(spec: &str, want: &str) {
    let (given, rest) = (spec.starts_with("containers"), spec.is_empty());
    let containers = if given {
        ""
    } else {
        "containers: [{name: c, image: i}]"
    };
    let comma = if given || rest { "" } else { ", " };
    says(
        &format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: d}}, spec: {{{containers}{comma}{spec}}}}}"
        ),
        want,
    );
}

#[track_caller]
fn container(fields: &str, want: &str) {
    pod(
        &format!(
            "containers: [{{name: c, image: i, {fields}}}], volumes: [{{name: v, emptyDir: {{}}}}, {{name: pvc, persistentVolumeClaim: {{claimName: x}}}}]"
        ),
        want,
    );
}

#[test]
fn pods() {
    pod("", "");
    pod(
        "nodeName: o, schedulingGates: [{name: g}]",
        "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
    );
    pod(
        "tolerations: [{key: a, operator: In}]",
        "spec.tolerations[0].operator: Unsupported value: \"In\": supported values: \"Equal\", \"Exists\"",
    );
    pod(
        "tolerations: [{key: a, operator: Lt, value: \"1\"}]",
        "spec.tolerations[0].operator: Unsupported value: \"Lt\": supported values: \"Equal\", \"Exists\", \"Lt\", \"Gt\"",
    );
    pod(
        "hostUsers: false, hostNetwork: true, hostPID: true",
        "spec.hostNetwork: Forbidden: when `hostUsers` is false\nspec.HostPID: Forbidden: when `hostUsers` is false",
    );
    pod(
        "os: {name: plan9}",
        "spec.os: Unsupported value: \"plan9\": supported values: \"linux\", \"windows\"",
    );
    pod(
        "os: {name: linux}, securityContext: {windowsOptions: {runAsUserName: a}}",
        "spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod",
    );
    pod(
        "securityContext: {seccompProfile: {type: Localhost}}",
        "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
    );
    pod(
        "securityContext: {seccompProfile: {type: RuntimeDefault, localhostProfile: a}}",
        "spec.securityContext.seccompProfile.localhostProfile: Invalid value: {\"Type\":\"RuntimeDefault\",\"LocalhostProfile\":\"a\"}: can only be set when seccomp type is Localhost",
    );
    pod(
        "securityContext: {appArmorProfile: {type: Localhost}}",
        "spec.securityContext.appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is Localhost",
    );
    pod(
        "hostNetwork: true, securityContext: {sysctls: [{name: net.core.somaxconn, value: '1'}]}",
        "spec.securityContext.sysctls[0].name: Invalid value: \"net.core.somaxconn\": may not be specified when 'hostNetwork' is true",
    );
    pod(
        "shareProcessNamespace: true, hostPID: true",
        "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",
    );
    pod(
        "dnsPolicy: None, dnsConfig: {searches: [_tcp.a, '.']}",
        "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None",
    );
    pod(
        "resources: {limits: {cpu: 1}, requests: {storage: 1Gi}}",
        "spec.resources.requests[storage]: Unsupported value: \"storage\": supported values: \"cpu\", \"hugepages-\", \"memory\"",
    );
    pod(
        "resourceClaims: [{name: a}]",
        "spec.resourceClaims[0]: Invalid value: {\"Name\":\"a\",\"ResourceClaimName\":null,\"ResourceClaimTemplateName\":null}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
    );
    pod(
        "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: ['-']}]}]}}}",
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values[0]: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    );
    pod(
        "topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule}, {maxSkew: 2, topologyKey: a, whenUnsatisfiable: DoNotSchedule}]",
        "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{a, DoNotSchedule}\"",
    );
    says(
        "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: d, annotations: {controller.kubernetes.io/pod-deletion-cost: many}}, spec: {containers: [{name: c, image: i}]}}",
        "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"many\": must be a 32bit integer",
    );
}

#[test]
fn containers() {
    container(
        "resources: {limits: {bananas: 3}}",
        "spec.containers[0].resources.limits[bananas]: Invalid value: \"bananas\": must be a standard resource type or fully qualified\nspec.containers[0].resources.limits[bananas]: Invalid value: \"bananas\": must be a standard resource for containers\nspec.containers[0].resources.requests[bananas]: Invalid value: \"bananas\": must be a standard resource type or fully qualified\nspec.containers[0].resources.requests[bananas]: Invalid value: \"bananas\": must be a standard resource for containers",
    );
    container(
        "resources: {limits: {hugepages-2Mi: 2Mi}, requests: {hugepages-2Mi: 2Mi}}",
        "spec.containers[0].resources: Forbidden: HugePages require cpu or memory",
    );
    container(
        "resizePolicy: [{resourceName: disk, restartPolicy: NotRequired}]",
        "spec.containers[0].resizePolicy: Unsupported value: \"disk\": supported values: \"cpu\", \"memory\"",
    );
    container(
        "volumeMounts: [{name: v, mountPath: /a, mountPropagation: Bidirectional}]",
        "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
    );
    container(
        "volumeMounts: [{name: v, mountPath: /a, recursiveReadOnly: Enabled}]",
        "spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
    );
    container(
        "volumeMounts: [{name: v, mountPath: /a, subPath: /../b}]",
        "spec.containers[0].volumeMounts.subPath: Invalid value: \"/../b\": must be a relative path\nspec.containers[0].volumeMounts.subPath: Invalid value: \"/../b\": must not contain '..'",
    );
    container(
        "volumeDevices: [{name: v, devicePath: /dev/a}]",
        "spec.containers[0].volumeDevices[0].name: Invalid value: \"v\": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
    );
    container(
        "volumeDevices: [{name: pvc, devicePath: /dev/a}], volumeMounts: [{name: pvc, mountPath: /a}]",
        "spec.containers[0].volumeMounts[0].name: Invalid value: \"pvc\": must not already exist in volumeDevices\nspec.containers[0].volumeDevices[0].name: Invalid value: \"pvc\": must not already exist in volumeMounts",
    );
    container(
        "securityContext: {privileged: true, allowPrivilegeEscalation: false}",
        "spec.containers[0].securityContext: Invalid value: {\"Capabilities\":null,\"Privileged\":true,\"SELinuxOptions\":null,\"WindowsOptions\":null,\"RunAsUser\":null,\"RunAsGroup\":null,\"RunAsNonRoot\":null,\"ReadOnlyRootFilesystem\":null,\"AllowPrivilegeEscalation\":false,\"ProcMount\":null,\"SeccompProfile\":null,\"AppArmorProfile\":null}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
    );
    container(
        "env: [{name: A, valueFrom: {fieldRef: {fieldPath: \"status.podIP['a']\"}}}]",
        "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"status.podIP['a']\": error converting fieldPath: field label does not support subscript: status.podIP['a']",
    );
    container(
        "env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 10m}}}]",
        "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are supported with the cpu resource",
    );
    container(
        "readinessProbe: {exec: {command: [a]}, terminationGracePeriodSeconds: 5}",
        "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes",
    );
    container(
        "restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [1]}}]",
        "spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used",
    );
    pod(
        "containers: [{name: c, image: i}], initContainers: [{name: j, image: i, lifecycle: {preStop: {sleep: {seconds: 99}}}}]",
        "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always",
    );
}

#[test]
fn volumes() {
    #[track_caller]
    fn volume(fields: &str, want: &str) {
        pod(&format!("volumes: [{{name: v, {fields}}}]"), want);
    }
    volume(
        "projected: {sources: [{secret: {name: a}, configMap: {name: b}}]}",
        "spec.volumes[0].projected.sources[0]: Forbidden: may not specify more than 1 volume type per source",
    );
    volume(
        "projected: {sources: [{secret: {name: a, items: [{key: k, path: p}]}}, {configMap: {name: b, items: [{key: k, path: p}]}}]}",
        "spec.volumes[0].projected: Invalid value: \"b\": conflicting duplicate paths",
    );
    volume(
        "downwardAPI: {items: [{path: a}]}",
        "spec.volumes[0].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
    );
    volume(
        "iscsi: {targetPortal: 'a:1', iqn: x, lun: 300}",
        "spec.volumes[0].iscsi.iqn: Invalid value: \"x\": must be valid format starting with iqn, eui, or naa\nspec.volumes[0].iscsi.lun: Invalid value: 300: must be between 0 and 255, inclusive",
    );
    volume(
        "ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce]}}}",
        "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value",
    );
    volume(
        "csi: {driver: ''}",
        "spec.volumes[0].csi.driver: Required value\nspec.volumes[0].csi.driver: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    );
    says(
        "{apiVersion: v1, kind: PersistentVolume, metadata: {name: p}, spec: {accessModes: [ReadWriteOnce], capacity: {storage: 1Gi}, csi: {driver: a}}}",
        "spec.csi.volumeHandle: Required value",
    );
    says(
        "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: p, namespace: d}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, dataSource: {kind: VolumeSnapshot, name: a}}}",
        "spec.dataSource: Invalid value: \"VolumeSnapshot\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
    );
    says(
        "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: p}, provisioner: a/b, allowedTopologies: [{matchLabelExpressions: [{key: a, values: [b, b]}]}]}",
        "allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: \"b\"",
    );
}

#[track_caller]
fn job(fields: &str, want: &str) {
    says(
        &format!(
            "{{apiVersion: batch/v1, kind: Job, metadata: {{name: j, namespace: d}}, spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: i}}]}}}}, {fields}}}}}"
        ),
        want,
    );
}

#[test]
fn jobs() {
    job(
        "completionMode: Indexed, completions: 3, successPolicy: {rules: [{succeededIndexes: '0,2-5', succeededCount: 1}]}",
        "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"0,2-5\": error parsing succeededIndexes: too large index: \"5\"\nspec.successPolicy.rules[0].succeededCount: Invalid value: 1: must be less than or equal to 0 (the number of indexes in the specified succeededIndexes field)",
    );
    job(
        "successPolicy: {rules: [{succeededCount: 1}]}",
        "spec.successPolicy: Invalid value: {\"Rules\":[{\"SucceededIndexes\":null,\"SucceededCount\":1}]}: requires indexed completion mode",
    );
    job(
        "podFailurePolicy: {rules: [{action: FailIndex, onExitCodes: {operator: In, values: [0, 2, 1]}}]}",
        "spec.podFailurePolicy.rules[0].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set\nspec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator\nspec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [0,2,1]: must be ordered",
    );
    job(
        "podFailurePolicy: {rules: [{action: Ignore}]}",
        "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
    );
    job(
        "podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}, podReplacementPolicy: TerminatingOrFailed",
        "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"",
    );
    job(
        "managedBy: me",
        "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")",
    );
    job(
        "completionMode: Indexed, completions: 1, maxFailedIndexes: 2",
        "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified\nspec.maxFailedIndexes: Invalid value: 2: must be less than or equal to completions",
    );
}

#[test]
fn services_and_networks() {
    #[track_caller]
    fn service(fields: &str, want: &str) {
        says(
            &format!(
                "{{apiVersion: v1, kind: Service, metadata: {{name: s, namespace: d}}, spec: {{{fields}}}}}"
            ),
            want,
        );
    }
    service(
        "ports: [{name: a, port: 80}, {name: b, port: 80}]",
        "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\"NodePort\":0}",
    );
    says(
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: o, namespace: d}, spec: {podSelector: {}, ingress: [{ports: [{endPort: 90}]}]}}",
        "spec.ingress[0].ports[0].endPort: Invalid value: 90: may not be specified when `port` is not specified",
    );
    says(
        "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: o}, spec: {controller: a.b/c, parameters: {kind: K, name: o, scope: Cluster, namespace: x}}}",
        "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'",
    );
    says(
        "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: o, namespace: d}, spec: {defaultBackend: {resource: {name: o}}}}",
        "spec.defaultBackend.resource.kind: Required value",
    );
    says(
        "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: o, namespace: d}, spec: {minAvailable: 1, maxUnavailable: 50%, selector: {matchLabels: {a: b}}}}",
        "spec: Invalid value: {\"MinAvailable\":1,\"Selector\":{\"matchLabels\":{\"a\":\"b\"}},\"MaxUnavailable\":\"50%\",\"UnhealthyPodEvictionPolicy\":null}: minAvailable and maxUnavailable cannot be both set",
    );
}

#[test]
fn quotas_and_rights() {
    says(
        "{apiVersion: v1, kind: ResourceQuota, metadata: {name: o, namespace: d}, spec: {hard: {pods: 1}, scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In}]}}}",
        "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
    );
    says(
        "{apiVersion: v1, kind: LimitRange, metadata: {name: o, namespace: d}, spec: {limits: [{type: Container, default: {cpu: 2}, max: {cpu: 1}}]}}",
        "spec.limits[0].defaultRequest[cpu]: Invalid value: \"2\": default request value 2 is greater than max value 1\nspec.limits[0].default[cpu]: Invalid value: \"1\": default value 2 is greater than max value 1",
    );
    says(
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: o}, aggregationRule: {}}",
        "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil",
    );
    says(
        "{apiVersion: v1, kind: Node, metadata: {name: o}, spec: {taints: [{key: a, effect: NoSchedule}, {key: a, effect: NoSchedule}]}}",
        "metadata.taints[1]: Duplicate value: {\"Key\":\"a\",\"Value\":\"\",\"Effect\":\"NoSchedule\",\"TimeAdded\":null}: taints must be unique by key and effect pair",
    );
    says(
        "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: o}, webhooks: [{name: a.b.c, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {url: 'https://u@h/p?q'}, rules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods/*, pods/log]}]}]}",
        "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/log\": if 'pods/*' is present, must not specify pods/log\nwebhooks[0].clientConfig.url: Invalid value: \"u\": user information is not permitted in the URL\nwebhooks[0].clientConfig.url: Invalid value: \"q\": query parameters are not permitted in the URL",
    );
}

#[track_caller]
fn changes(old: &str, new: &str, want: &str) {
    let ((resource, old), (_, new)) = (read(old), read(new));
    let found: Vec<String> = validation::update(resource, &new, &old)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(found.join("\n"), want);
}

#[test]
fn updates() {
    let job = |fields: &str, command: &str| {
        format!(
            "{{apiVersion: batch/v1, kind: Job, metadata: {{name: j, namespace: d, resourceVersion: '1'}}, spec: {{completionMode: Indexed, {fields}, template: {{spec: {{restartPolicy: Never, nodeSelector: {{a: {command}}}, containers: [{{name: c, image: i}}]}}}}}}}}"
        )
    };
    let (three, five) = (
        "completions: 3, parallelism: 3",
        "completions: 5, parallelism: 3",
    );
    changes(
        &job(three, "b"),
        &job(five, "b"),
        "spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism",
    );
    changes(
        &job("suspend: true, completions: 3", "b"),
        &job("suspend: true, completions: 3", "c"),
        "",
    );
    let node = |id: &str| {
        format!("{{apiVersion: v1, kind: Node, metadata: {{name: o}}, spec: {{providerID: {id}}}}}")
    };
    changes(
        &node("a"),
        &node("b"),
        "spec.providerID: Invalid value: null: field cannot be modified once set",
    );
    let map = |finalizers: &str| {
        format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: o, namespace: d, deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [{finalizers}]}}}}"
        )
    };
    changes(
        &map("a.b/c"),
        &map("a.b/c, a.b/d"),
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"a.b/d\"}",
    );
}

#[test]
fn what_a_pod_says_twice() {
    let both = |annotation: &str, spec: &str, want: &str| {
        says(
            &format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: d, annotations: {{{annotation}}}}}, spec: {{{spec}}}}}"
            ),
            want,
        );
    };
    let one = "containers: [{name: c, image: i}]";
    both(
        "seccomp.security.alpha.kubernetes.io/pod: x",
        one,
        "metadata.annotations.seccomp.security.alpha.kubernetes.io/pod: Invalid value: \"x\": must be a valid seccomp profile",
    );
    both(
        "seccomp.security.alpha.kubernetes.io/pod: unconfined",
        &format!("{one}, securityContext: {{seccompProfile: {{type: RuntimeDefault}}}}"),
        "spec.securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field must match",
    );
    both(
        "container.apparmor.security.beta.kubernetes.io/c: localhost/a",
        &format!(
            "{one}, securityContext: {{appArmorProfile: {{type: Localhost, localhostProfile: b}}}}"
        ),
        "spec.containers[0].securityContext.appArmorProfile.localhostProfile: Forbidden: apparmor profile in annotation and field must match",
    );
    pod(
        "hostnameOverride: a.b, setHostnameAsFQDN: true",
        "spec.hostnameOverride: Forbidden: may not be specified when `setHostnameAsFQDN` is true",
    );
}

#[test]
fn init_containers_one_by_one() {
    let init = |fields: &str, want: &str| {
        pod(
            &format!("initContainers: [{{name: a, image: i}}, {{name: b, image: i, {fields}}}]"),
            want,
        );
    };
    init(
        "ports: [{containerPort: 1, hostPort: 1}, {containerPort: 2, hostPort: 1}]",
        "spec.initContainers[0].ports[1].hostPort: Duplicate value: \"TCP//1\"",
    );
    init(
        "resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]",
        "spec.initContainers[1].resizePolicy: Invalid value: [{\"ResourceName\":\"cpu\",\"RestartPolicy\":\"NotRequired\"}]: must not be set for init containers",
    );
}

#[test]
fn variables_from_elsewhere() {
    container(
        "env: [{name: A, valueFrom: {fileKeyRef: {volumeName: v, path: /a, key: K}}}]",
        "spec.containers[0].env[0].valueFrom.fileKeyRef.path: Invalid value: \"/a\": must be a relative path",
    );
    container("envFrom: [{configMapRef: {name: a-}}]", "");
}

#[test]
fn names_that_are_taken() {
    let class = |name: &str, rest: &str, want: &str| {
        says(
            &format!(
                "{{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {{name: {name}}}, {rest}}}"
            ),
            want,
        );
    };
    let reserved = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error:";
    class("a", "value: 1", "");
    class(
        "system-x",
        "value: 1",
        &format!("{reserved} system-x is not a known system priority class"),
    );
    class(
        "system-node-critical",
        "value: 1",
        &format!("{reserved} value of system-node-critical PriorityClass must be 2000001000"),
    );
    says(
        "{apiVersion: v1, kind: Namespace, metadata: {name: a}, spec: {finalizers: [kubernetes, x]}}",
        "spec.finalizers: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully qualified",
    );
}

#[test]
fn ingresses_of_two_classes() {
    says(
        "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a, namespace: d, annotations: {kubernetes.io/ingress.class: b}}, spec: {ingressClassName: c, defaultBackend: {service: {name: s, port: {number: 80}}}}}",
        "annotations.kubernetes.io/ingress.class: Invalid value: \"b\": must match `ingressClassName` when both are specified",
    );
}

#[test]
fn slices_and_their_hints() {
    let slice = |endpoint: &str, want: &str| {
        says(
            &format!(
                "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: a, namespace: d}}, addressType: IPv4, endpoints: [{{addresses: [10.0.0.1], {endpoint}}}]}}"
            ),
            want,
        );
    };
    slice("hints: {forNodes: [{name: a}]}", "");
    slice(
        "hints: {forNodes: [{name: a}, {name: a}]}",
        "endpoints[0].hints.forNodes[1].name: Duplicate value: \"a\"",
    );
}

#[test]
fn what_autoscalers_measure() {
    let measures = |metric: &str, want: &str| {
        says(
            &format!(
                "{{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {{name: a, namespace: d}}, spec: {{maxReplicas: 2, scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: a}}, metrics: [{metric}]}}}}"
            ),
            want,
        );
    };
    measures(
        "{type: Object, object: {describedObject: {kind: Service}, metric: {name: a}, target: {type: Value, value: 1}}}",
        "spec.metrics[0].object.describedObject.name: Required value",
    );
    measures(
        "{type: External, external: {metric: {name: a/b}, target: {type: Value, value: 1, averageValue: 1}}}",
        "spec.metrics[0].external.metric.name: Invalid value: \"a/b\": may not contain '/'\nspec.metrics[0].external.target.value: Forbidden: may not set both a target value for metric and a per-pod target",
    );
}

#[test]
fn what_random_changes_of_manifests_have_shown() {
    let workload = |kind: &str, spec: &str, want: &str| {
        says(
            &format!(
                "{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: w, namespace: d}}, spec: {{{spec}}}}}"
            ),
            want,
        );
    };
    // With a selector that is none nobody looks at the template, but for a DaemonSet's.
    let wrong = "selector: {matchLabels: {a: \"=\"}}";
    let label = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    let shown = "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"=\"}}";
    let first = format!("spec.selector.matchLabels: Invalid value: \"=\": {label}");
    workload(
        "Deployment",
        wrong,
        &format!("{first}\n{shown}: invalid label selector"),
    );
    workload("StatefulSet", wrong, &format!("{first}\n{shown}"));
    workload(
        "DaemonSet",
        wrong,
        &format!("{first}\nspec.template.spec.containers: Required value"),
    );
    workload(
        "DaemonSet",
        "template: {spec: {containers: [{name: c, image: i}]}}",
        "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
    );
    let pods = "selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {hostname: \"_\", containers: [{name: c, image: i}]}}";
    workload("StatefulSet", pods, "");
    workload(
        "StatefulSet",
        &format!(
            "{pods}, volumeClaimTemplates: [{{spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}}}]"
        ),
        "spec.template.spec.volumes[0].persistentVolumeClaim.claimName: Required value\nspec.template.spec.volumes[0].name: Required value",
    );
    let scaler = |spec: &str, want: &str| {
        says(
            &format!(
                "{{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {{name: h, namespace: d}}, spec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: d}}, {spec}}}}}"
            ),
            want,
        );
    };
    scaler(
        "maxReplicas: 0",
        "spec.maxReplicas: Required value\nspec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
    );
    scaler(
        "maxReplicas: 1, metrics: [{type: Pods, resource: {name: cpu, target: {type: Utilization, averageUtilization: 0}}}]",
        "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0\nspec.metrics[0].pods: Required value: must populate information for the given metric source",
    );
    scaler(
        "maxReplicas: 1, metrics: [{type: ContainerResource, containerResource: {name: fish, container: c, target: {type: Utilization, averageUtilization: 1}}}]",
        "spec.metrics[0].containerResource.name: Invalid value: \"fish\": must be a standard resource type or fully qualified\nspec.metrics[0].containerResource.name: Invalid value: \"fish\": must be a standard resource for containers",
    );
    pod(
        "containers: [{name: c, image: i, restartPolicy: Always, restartPolicyRules: [{action: Restart}]}]",
        "spec.containers[0].restartPolicyRules[0].exitCodes: Required value: must be specified",
    );
    pod(
        "resources: {claims: [{name: x}]}",
        "spec.resources.claims: Forbidden: claims may not be set for Resources at pod-level\nspec.resources.claims[0]: Not found: \"x\": must be one of the names in pod.spec.resourceClaims which is empty",
    );
    pod(
        "dnsConfig: {searches: [a/b]}",
        "spec.dnsConfig.searches[0]: Invalid value: \"a/b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')",
    );
    says(
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: b}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}}",
        "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
    );
    says(
        "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: d, ownerReferences: [{apiVersion: a/b/c, kind: K, name: o, uid: u}]}, spec: {containers: [{name: c, image: i}]}}",
        "metadata.ownerReferences[0].apiVersion: Invalid value: \"a/b/c\": must be <group>/<version> or <version>",
    );
    let volume = |spec: &str, want: &str| {
        says(
            &format!(
                "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: v}}, spec: {{accessModes: [ReadWriteOnce], capacity: {{storage: 1Gi}}, {spec}}}}}"
            ),
            want,
        );
    };
    volume(
        "iscsi: {targetPortal: \"1.1.1.1\", iqn: \"iqn.2026\", lun: 0}",
        "spec.iscsi.iqn: Invalid value: \"iqn.2026\": must be valid format",
    );
    volume(
        "storageos: {volumeName: v, volumeNamespace: A}",
        "spec.storageos.volumeNamespace: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    );
    volume(
        "flexVolume: {driver: d}, vsphereVolume: {volumePath: v}",
        "spec.vsphereVolume: Forbidden: may not specify more than 1 volume type",
    );
    pod("os: {name: \"\"}", "spec.os.name: Required value");
    says(
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: e, namespace: d}, addressType: FQDN, endpoints: [{addresses: [here]}]}",
        "endpoints[0].addresses[0]: Invalid value: \"here\": should be a domain with at least two segments separated by dots",
    );
    says(
        "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: s}, provisioner: p, allowedTopologies: [{}]}",
        "allowedTopologies[0].matchLabelExpressions: Duplicate value: \"\"",
    );
    says(
        "{apiVersion: v1, kind: PersistentVolume, metadata: {name: v}, spec: {capacity: {storage: 1Gi}, quobyte: {registry: here, volume: v}}}",
        "spec.accessModes: Required value\nspec.quobyte.registry: Invalid value: \"here\": must be a host:port pair or multiple pairs separated by commas",
    );
}

#[test]
fn what_is_behind_a_gate_is_dropped() {
    #[track_caller]
    fn keeps(text: &str, path: &[&str], want: &str) {
        let (resource, mut object) = read(text);
        validation::prepare_for_create(resource, &mut object);
        let at = path.iter().fold(&object, |o, step| &o[*step]);
        assert_eq!(at.to_string(), want, "{text}");
    }
    keeps(
        "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: l, namespace: d}, spec: {strategy: x, holderIdentity: me}}",
        &["spec"],
        r#"{"holderIdentity":"me"}"#,
    );
    keeps(
        "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: d}, spec: {schedulingGroup: {podGroupName: g}, containers: [{name: c, image: i}]}}",
        &["spec", "schedulingGroup"],
        "null",
    );
    keeps(
        "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c, namespace: d}, spec: {dataSource: {kind: Fish, name: f}}}",
        &["spec", "dataSource"],
        "null",
    );
    keeps(
        "{apiVersion: v1, kind: ServiceAccount, metadata: {name: a, namespace: d}, secrets: [{name: s, kind: K, uid: u}]}",
        &["secrets"],
        r#"[{"name":"s"}]"#,
    );
}

#[test]
fn flows_and_their_levels() {
    let object = |kind: &str, name: &str, spec: &str| {
        format!(
            "{{apiVersion: flowcontrol.apiserver.k8s.io/v1, kind: {kind}, metadata: {{name: {name}}}, spec: {{{spec}}}}}"
        )
    };
    let flow = |spec: &str, want: &str| says(&object("FlowSchema", "f", spec), want);
    let level = |spec: &str, want: &str| {
        says(&object("PriorityLevelConfiguration", "l", spec), want);
    };
    flow("priorityLevelConfiguration: {name: x}", "");
    flow(
        "matchingPrecedence: 1, priorityLevelConfiguration: {name: x}",
        "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
    );
    flow(
        "matchingPrecedence: 10001, priorityLevelConfiguration: {name: ''}",
        "spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000\nspec.priorityLevelConfiguration.name: Required value: must reference a priority level",
    );
    flow(
        "priorityLevelConfiguration: {name: x}, rules: [{subjects: []}]",
        "spec.rules[0].subjects: Required value: subjects must contain at least one value\nspec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
    );
    level(
        "type: Exempt",
        "spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'",
    );
    level(
        "type: Limited",
        "spec.limited: Required value: must not be empty when type is Limited",
    );
    level(
        "type: Limited, limited: {limitResponse: {type: Queue, queuing: {}}}",
        "",
    );
    level(
        "type: Limited, limited: {limitResponse: {type: Queue, queuing: {queues: 2}}}",
        "spec.limited.limitResponse.queuing.handSize: Invalid value: 8: should not be greater than queues (2)",
    );
    level(
        "type: Limited, limited: {lendablePercent: 101, limitResponse: {type: Reject, queuing: {}}}",
        "spec.limited.limitResponse.queuing: Forbidden: must be nil if limited.limitResponse.type is not Limited\nspec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
    );
}
