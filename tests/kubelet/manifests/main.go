// Kubernetes' own opinion of a manifest, asked by a test.
//
// Usage: manifests FILE [PATCH SECRET] < questions.json > answers.json
//
// Each document of FILE is decoded strictly, with defaults and validation as the API server has
// them: whatever is wrong ends it with a reason. questions.json is a list of {verb, resource, name};
// each is answered by the RBAC authorizer with the rules of the Roles in FILE. With PATCH, a file of
// kubectl patch --patch-file, the answer holds what becomes of an empty secret of the name SECRET
// and the type kubernetes.io/dockerconfigjson, after Kubernetes has validated it.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/batch"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	batchvalidation "k8s.io/kubernetes/pkg/apis/batch/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/rbac"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	rbacvalidation "k8s.io/kubernetes/pkg/apis/rbac/validation"
	"k8s.io/kubernetes/pkg/capabilities"
	authorizerrbac "k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"
)

const namespace = "default"

type question struct {
	Verb     string `json:"verb"`
	Resource string `json:"resource"`
	Name     string `json:"name"`
}

type answers struct {
	Kinds   []string          `json:"kinds"`
	Allowed []bool            `json:"allowed"`
	Secret  map[string][]byte `json:"secret,omitempty"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	// As kubeadm starts its API servers (--allow-privileged).
	capabilities.Initialize(capabilities.Capabilities{AllowPrivileged: true})
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		return err
	}
	content, err := os.ReadFile(arguments[0])
	if err != nil {
		return err
	}
	said := answers{Kinds: []string{}, Allowed: []bool{}}
	var rules []rbacv1.PolicyRule
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		object, err := decode(document)
		if err != nil {
			return err
		}
		said.Kinds = append(said.Kinds, object.GetObjectKind().GroupVersionKind().Kind)
		if role, ok := object.(*rbacv1.Role); ok {
			rules = append(rules, role.Rules...)
		}
		if err := validate(object); err != nil {
			return err
		}
	}
	for _, asked := range questions {
		attributes := authorizer.AttributesRecord{
			Verb: asked.Verb, Resource: asked.Resource, Name: asked.Name, Namespace: namespace,
			APIVersion: "v1", ResourceRequest: true,
		}
		said.Allowed = append(said.Allowed, authorizerrbac.RulesAllow(attributes, rules...))
	}
	if len(arguments) == 3 {
		if said.Secret, err = patched(arguments[1], arguments[2]); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

func decode(document []byte) (runtime.Object, error) {
	strict := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)
	object, _, err := strict.UniversalDeserializer().Decode(document, nil, nil)
	return object, err
}

// validate does with an object what the API server does when it is created in a namespace.
func validate(object runtime.Object) error {
	kind := object.GetObjectKind().GroupVersionKind()
	_, everywhere := object.(*rbacv1.ClusterRole)
	if _, ok := object.(*rbacv1.ClusterRoleBinding); ok {
		everywhere = true
	}
	if placed, ok := object.(metav1.Object); ok && !everywhere {
		placed.SetNamespace(namespace)
	}
	if binding, ok := object.(*rbacv1.RoleBinding); ok {
		for n := range binding.Subjects { // kubectl apply -n, or kustomize, says it
			binding.Subjects[n].Namespace = namespace
		}
	}
	legacyscheme.Scheme.Default(object)
	internal, err := legacyscheme.Scheme.UnsafeConvertToVersion(object, runtime.InternalGroupVersioner)
	if err != nil {
		return err
	}
	var wrong field.ErrorList
	switch one := internal.(type) {
	case *core.ServiceAccount:
		wrong = corevalidation.ValidateServiceAccount(one)
	case *core.ConfigMap:
		wrong = corevalidation.ValidateConfigMap(one)
	case *core.Secret:
		wrong = corevalidation.ValidateSecret(one)
	case *rbac.Role:
		wrong = rbacvalidation.ValidateRole(one)
	case *rbac.RoleBinding:
		wrong = rbacvalidation.ValidateRoleBinding(one)
	case *rbac.ClusterRole:
		wrong = rbacvalidation.ValidateClusterRole(one, rbacvalidation.ClusterRoleValidationOptions{})
	case *rbac.ClusterRoleBinding:
		wrong = rbacvalidation.ValidateClusterRoleBinding(one)
	case *apps.DaemonSet:
		wrong = appsvalidation.ValidateDaemonSet(one, corevalidation.PodValidationOptions{})
	case *batch.CronJob:
		wrong = batchvalidation.ValidateCronJobCreate(one, corevalidation.PodValidationOptions{})
	default:
		return fmt.Errorf("nothing here validates a %s", kind.Kind)
	}
	return wrong.ToAggregate()
}

func patched(path, name string) (map[string][]byte, error) {
	patch, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	before := corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{}}`)},
	}
	original, err := json.Marshal(before)
	if err != nil {
		return nil, err
	}
	after, err := strategicpatch.StrategicMergePatch(original, patch, corev1.Secret{})
	if err != nil {
		return nil, err
	}
	object, err := decode(after)
	if err != nil {
		return nil, err
	}
	return object.(*corev1.Secret).Data, validate(object)
}
