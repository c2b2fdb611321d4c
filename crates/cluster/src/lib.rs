//! A simulated Kubernetes cluster: etcd, API server, controllers, scheduler, kubelets, CNI, kube-proxy, DNS.
