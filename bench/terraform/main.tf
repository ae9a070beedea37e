# The same objects as gpuprov.core.manifests describes, for the comparison.
terraform {
  required_providers {
    kubernetes = { source = "hashicorp/kubernetes" }
  }
}

variable "tenants" {
  type = map(object({
    labels      = map(string)
    annotations = map(string)
    own_labels  = map(string)
    hard        = map(string)
    fixed       = map(string)
    page        = map(string)
    defaults    = map(string)
    group       = string
  }))
}

variable "context" {
  type = string
}

variable "kubeconfig" {
  type = string
}

provider "kubernetes" {
  config_path    = var.kubeconfig
  config_context = var.context
}

resource "kubernetes_namespace_v1" "tenant" {
  for_each = var.tenants
  metadata {
    name        = each.key
    labels      = each.value.labels
    annotations = each.value.annotations
  }
  timeouts {
    delete = "60m"
  }
}

resource "kubernetes_resource_quota_v1" "fixed" {
  for_each = var.tenants
  metadata {
    name      = "fixed"
    namespace = kubernetes_namespace_v1.tenant[each.key].metadata[0].name
    labels    = each.value.own_labels
  }
  spec {
    hard = each.value.fixed
  }
}

resource "kubernetes_config_map_v1" "welcome" {
  for_each = var.tenants
  metadata {
    name      = "welcome"
    namespace = kubernetes_namespace_v1.tenant[each.key].metadata[0].name
    labels    = each.value.own_labels
  }
  data = each.value.page
}

resource "kubernetes_resource_quota_v1" "gpu" {
  for_each = var.tenants
  metadata {
    name      = "gpu"
    namespace = kubernetes_namespace_v1.tenant[each.key].metadata[0].name
    labels    = each.value.own_labels
  }
  spec {
    hard = each.value.hard
  }
}

resource "kubernetes_limit_range_v1" "defaults" {
  for_each = var.tenants
  metadata {
    name      = "defaults"
    namespace = kubernetes_namespace_v1.tenant[each.key].metadata[0].name
    labels    = each.value.own_labels
  }
  spec {
    limit {
      type            = "Container"
      default         = each.value.defaults
      default_request = each.value.defaults
    }
  }
}

resource "kubernetes_network_policy_v1" "isolation" {
  for_each = var.tenants
  metadata {
    name      = "isolation"
    namespace = kubernetes_namespace_v1.tenant[each.key].metadata[0].name
    labels    = each.value.own_labels
  }
  spec {
    pod_selector {}
    policy_types = ["Ingress", "Egress"]
    ingress {
      from {
        pod_selector {}
      }
    }
    egress {
      to {
        pod_selector {}
      }
    }
    egress {
      to {
        namespace_selector {
          match_labels = { "kubernetes.io/metadata.name" = "kube-system" }
        }
        pod_selector {
          match_labels = { "k8s-app" = "kube-dns" }
        }
      }
      ports {
        port     = "53"
        protocol = "UDP"
      }
      ports {
        port     = "53"
        protocol = "TCP"
      }
    }
  }
}

resource "kubernetes_role_binding_v1" "awardee" {
  for_each = var.tenants
  metadata {
    name      = "awardee"
    namespace = kubernetes_namespace_v1.tenant[each.key].metadata[0].name
    labels    = each.value.own_labels
  }
  role_ref {
    api_group = "rbac.authorization.k8s.io"
    kind      = "ClusterRole"
    name      = "gpuprov-tenant"
  }
  subject {
    api_group = "rbac.authorization.k8s.io"
    kind      = "Group"
    name      = each.value.group
  }
  subject {
    kind      = "ServiceAccount"
    name      = "awardee"
    namespace = each.key
  }
  depends_on = [
    kubernetes_resource_quota_v1.fixed,
    kubernetes_resource_quota_v1.gpu,
    kubernetes_limit_range_v1.defaults,
    kubernetes_network_policy_v1.isolation,
  ]
}
