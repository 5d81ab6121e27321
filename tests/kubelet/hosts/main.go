// What Go's own code, and that of Docker and of AWS's helper, take a server URL for.
//
// Usage: hosts < names > readings
//
// Each line of names is a JSON string; each line of readings is the JSON object that says what was
// read. Nothing here is ours: it is the second opinion on which host a client connects to.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/awslabs/amazon-ecr-credential-helper/ecr-login/api"
	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config/credentials"
	"github.com/docker/docker-credential-helpers/registryurl"
)

// A reading holds no host where its reader refuses the name.
type reading struct {
	// net/url, of the name with https:// in front unless it has a scheme.
	Scheme string `json:"scheme"`
	User   bool   `json:"user"`
	Host   string `json:"host"`
	Port   string `json:"port"`
	Rest   bool   `json:"rest"` // a query or a fragment
	// The conversions of docker/cli (with the port) and of Docker's credential helpers.
	CLI    string `json:"cli"`
	Helper string `json:"helper"`
	// The registry's domain (with the port) of an image of that registry.
	Image string `json:"image"`
	// What AWS's helper answers for, nil if it is not for it.
	AWS *registry `json:"aws"`
}

type registry struct {
	Service string `json:"service"`
	Account string `json:"account"`
	Region  string `json:"region"`
	FIPS    bool   `json:"fips"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "hosts:", err)
		os.Exit(1)
	}
}

func run() error {
	names := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := bufio.NewWriter(os.Stdout)
	readings := json.NewEncoder(out)
	for names.More() {
		var name string
		if err := names.Decode(&name); err != nil {
			return err
		}
		if err := readings.Encode(read(name)); err != nil {
			return err
		}
	}
	return out.Flush()
}

func read(name string) reading {
	var r reading
	// As docker-credential-helpers' own Get does with what comes on stdin.
	name = strings.TrimSpace(name)
	full := name
	if !strings.Contains(name, "://") {
		full = "https://" + name
	}
	if u, err := url.Parse(full); err == nil {
		r.Scheme, r.Host, r.Port = u.Scheme, u.Hostname(), u.Port()
		r.User = u.User != nil
		r.Rest = u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(full, "#")
	}
	r.CLI = credentials.ConvertToHostname(name)
	if u, err := registryurl.Parse(name); err == nil {
		r.Helper = u.Hostname()
	}
	if image, err := reference.ParseNormalizedNamed(r.CLI + "/app"); err == nil {
		r.Image = reference.Domain(image)
	}
	if found, err := api.ExtractRegistry(name); err == nil {
		r.AWS = &registry{string(found.Service), found.ID, found.Region, found.FIPS}
	}
	return r
}
