// SPDX-License-Identifier: Apache-2.0

// Package reporttest makes documents to draw in tests: [Document] is a small one with every state of an image and of an
// answer, made by package report from [Run], and [Big] is of any size.
//
// All of it is made up: hosts are stand-ins that say so in their names, and nothing here was seen on a GPU.
package reporttest
