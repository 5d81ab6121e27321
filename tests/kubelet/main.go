// The kubelet's own credential provider code, asked by a test.
//
// Usage: kubelet-driver CONFIG BIN_DIR < requests.json > answers.json
//
// requests.json is a list of {image, namespace, pod, serviceAccount, token, annotations}; each is
// looked up as the kubelet does for a pod, in order, in one process, so its cache is used too.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/credentialprovider/plugin"
)

type request struct {
	Image          string            `json:"image"`
	Namespace      string            `json:"namespace"`
	Pod            string            `json:"pod"`
	ServiceAccount string            `json:"serviceAccount"`
	Token          string            `json:"token"`
	Annotations    map[string]string `json:"annotations"`
}

type answer struct {
	Image string       `json:"image"`
	Found bool         `json:"found"`
	Auth  []credential `json:"auth"`
}

type credential struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "kubelet-driver:", err)
		os.Exit(1)
	}
}

func run(config, binDir string) error {
	var requests []request
	if err := json.NewDecoder(os.Stdin).Decode(&requests); err != nil {
		return err
	}
	var current request
	getToken := func(namespace, name string, tr *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
		tr.Status.Token = current.Token
		return tr, nil
	}
	getServiceAccount := func(namespace, name string) (*v1.ServiceAccount, error) {
		meta := metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: current.Annotations}
		meta.UID = types.UID(namespace + "/" + name)
		return &v1.ServiceAccount{ObjectMeta: meta}, nil
	}
	if err := plugin.RegisterCredentialProviderPlugins(config, binDir, getToken, getServiceAccount); err != nil {
		return err
	}
	answers := []answer{}
	for _, current = range requests {
		keyring := plugin.NewExternalCredentialProviderDockerKeyring(
			current.Namespace, current.Pod, current.Pod+"-uid", current.ServiceAccount)
		found, ok := keyring.Lookup(current.Image)
		reply := answer{Image: current.Image, Found: ok, Auth: []credential{}}
		for _, config := range found {
			reply.Auth = append(reply.Auth, credential{config.Username, config.Password})
		}
		answers = append(answers, reply)
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}
