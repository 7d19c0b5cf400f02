package kubeapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	// bookmarkEvery is how often a watcher that nothing happens to learns the version, so that it does not fall behind.
	bookmarkEvery = 10 * time.Second
	longestWatch  = 30 * time.Minute
)

// watcher is one client that watches.
type watcher struct {
	asked  request
	wanted func(*unstructured.Unstructured) bool
	to     *json.Encoder
	flush  func() error
}

// watch streams what happens to the objects that are selected, until the client leaves or its time is over.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, asked request) {
	query := r.URL.Query()
	wanted, err := selected(query, asked)
	if err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	version, err := strconv.ParseInt(query.Get("resourceVersion"), 10, 64)
	if err != nil && query.Get("resourceVersion") != "" {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, "resourceVersion: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	to := watcher{asked, wanted, json.NewEncoder(w), http.NewResponseController(w).Flush}

	// WatchList: what is there comes first, then a bookmark that says so. Version 0 means "what is there" too.
	list := isTrue(query.Get("sendInitialEvents"))
	if list || version == 0 {
		var there []*unstructured.Unstructured
		there, version = s.Store.list(asked.resource(), wanted)
		for _, object := range there {
			if to.send(watch.Added, asked.shape(object)) != nil {
				return
			}
		}
	}
	if list && to.bookmark(version, true) != nil || to.flush() != nil {
		return
	}
	// An error here is a client that has left, which is how a watch ends.
	_ = s.follow(r, &to, version, until(query.Get("timeoutSeconds")))
}

func until(seconds string) <-chan time.Time {
	limit, err := strconv.ParseInt(seconds, 10, 32)
	if err != nil || limit <= 0 {
		return time.After(longestWatch)
	}
	return time.After(time.Duration(limit) * time.Second)
}

func (s *Server) follow(r *http.Request, to *watcher, version int64, end <-chan time.Time) error {
	idle := time.NewTicker(bookmarkEvery)
	defer idle.Stop()
	for {
		changes, more, err := s.Store.since(version)
		if err != nil {
			// The client lists again.
			return to.send(watch.Error, metav1.Status{
				TypeMeta: statusType, Status: metav1.StatusFailure, Code: http.StatusGone,
				Reason: metav1.StatusReasonExpired, Message: err.Error(),
			})
		}
		for _, c := range changes {
			version = c.version
			if c.of == to.asked.resource() {
				if err := to.change(c); err != nil {
					return err
				}
			}
		}
		if err := to.flush(); err != nil {
			return err
		}
		select {
		case <-more:
		case <-idle.C:
			if err := to.bookmark(version, false); err != nil {
				return err
			}
		case <-end:
			return nil
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}

// change sends what a change means for the objects that are selected: one that no longer is has gone.
func (w *watcher) change(c change) error {
	before := c.old != nil && w.wanted(c.old)
	after := c.new != nil && w.wanted(c.new)
	switch {
	case before && after:
		return w.send(watch.Modified, w.asked.shape(c.new))
	case after:
		return w.send(watch.Added, w.asked.shape(c.new))
	case before:
		last := c.old.DeepCopy()
		last.SetResourceVersion(fmt.Sprint(c.version))
		return w.send(watch.Deleted, w.asked.shape(last))
	}
	return nil
}

func (w *watcher) bookmark(version int64, endOfInitial bool) error {
	mark := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": w.asked.kind.groupVersion(), "kind": w.asked.kind.Name,
		"metadata": map[string]any{"resourceVersion": fmt.Sprint(version)},
	}}
	if endOfInitial {
		mark.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	return w.send(watch.Bookmark, w.asked.shape(mark))
}

func (w *watcher) send(event watch.EventType, object any) error {
	return w.to.Encode(map[string]any{"type": event, "object": object})
}
