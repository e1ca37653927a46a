// Reads objects as JSON, one a line, and answers each with the health that Argo CD's own rules give it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"argohealth/health"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 0, 1<<20), 16<<20)
	for lines.Scan() {
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal(lines.Bytes(), &object.Object); err != nil {
			fmt.Println(`{"status":"Unknown"}`)
			continue
		}
		answer, err := health.GetResourceHealth(object, nil)
		if err != nil || answer == nil {
			// A kind without a rule counts as healthy.
			fmt.Println(`{"status":"Healthy"}`)
			continue
		}
		text, _ := json.Marshal(answer)
		fmt.Println(string(text))
	}
}
