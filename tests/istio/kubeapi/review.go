package kubeapi

import (
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const tokenReviews = "tokenreviews"

// reviews are questions rather than objects: they are answered and forgotten.
var reviews = []string{tokenReviews, "subjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}

// review says whose a token is. Access is granted to all who ask.
func (s *Server) review(w http.ResponseWriter, r *http.Request, of string) {
	question, err := body(r)
	if err != nil {
		refuse(w, http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType, err.Error())
		return
	}
	if of != tokenReviews {
		question.Object["status"] = map[string]any{"allowed": true}
		respond(w, http.StatusCreated, question.Object)
		return
	}
	spec, _ := question.Object["spec"].(map[string]any)
	token, _ := spec["token"].(string)
	status := map[string]any{"authenticated": false}
	if s.Tokens != nil {
		if account, ok := s.Tokens(token); ok {
			status = authenticated(account)
			// Whoever asks for audiences must be told that the token is for one of them.
			if audiences, ok := spec["audiences"]; ok {
				status["audiences"] = audiences
			}
		}
	}
	question.Object["status"] = status
	respond(w, http.StatusCreated, question.Object)
}

func authenticated(account Account) map[string]any {
	return map[string]any{
		"authenticated": true,
		"user": map[string]any{
			"username": "system:serviceaccount:" + account.Namespace + ":" + account.Name,
			"groups": []any{
				"system:serviceaccounts", "system:serviceaccounts:" + account.Namespace, "system:authenticated",
			},
			"extra": map[string]any{"authentication.kubernetes.io/pod-name": []any{account.Pod}},
		},
	}
}
