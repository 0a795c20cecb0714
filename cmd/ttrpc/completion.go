package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

func completionCommand() command {
	return command{
		name: "completion", args: "bash|zsh", short: "print a script that has a shell complete commands and flags",
		examples: []string{
			"source <(ttrpc completion bash)",
			"ttrpc completion bash > /usr/share/bash-completion/completions/ttrpc",
			"source <(ttrpc completion zsh)",
		},
		setup: func(*flag.FlagSet) action { return complete },
	}
}

func complete(_ context.Context, args []string, std stdio) error {
	if len(args) != 1 || args[0] != "bash" && args[0] != "zsh" {
		return usagef("completion needs the shell's name, bash or zsh")
	}
	if args[0] == "zsh" {
		fmt.Fprintln(std.out, "autoload -U +X bashcompinit && bashcompinit")
	}
	var names []string
	var cases strings.Builder
	for _, c := range commands() {
		names = append(names, c.name)
		fmt.Fprintf(&cases, "\t%s) words=%q ;;\n", c.name, strings.Join(append(flagNames(c), c.words()...), " "))
	}
	fmt.Fprintf(&cases, "\thelp) words=%q ;;\n", strings.Join(names, " "))
	fmt.Fprintf(std.out, bashScript, strings.Join(names, " "), cases.String())
	return nil
}

// words are what may stand for the command's argument, beside a file.
func (c command) words() []string {
	if c.name == "completion" {
		return []string{"bash", "zsh"}
	}
	return nil
}

func flagNames(c command) []string {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.setup(fs)
	names := []string{"-help"}
	fs.VisitAll(func(f *flag.Flag) { names = append(names, "-"+f.Name) })
	return names
}

// bashScript has room for the commands, and for a case with the flags of each. Words that are no
// flag are files: sockets above all.
const bashScript = `_ttrpc() {
	local current=${COMP_WORDS[COMP_CWORD]} words=""
	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		COMPREPLY=($(compgen -W "%s help" -- "$current"))
		return
	fi
	case ${COMP_WORDS[1]} in
%s	esac
	COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _ttrpc ttrpc
`
