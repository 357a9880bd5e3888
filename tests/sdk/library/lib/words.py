# SPDX-License-Identifier: Apache-2.0
GREETING = "a library says hello"
