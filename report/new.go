// SPDX-License-Identifier: Apache-2.0

package report

// New makes the document.
func New(in Input) *Document { return &Document{Version: 1, Made: in.Today.UTC(), Program: in.Program, Title: in.Title} }
