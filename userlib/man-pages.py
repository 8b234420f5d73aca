#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Writes the man pages of libvhm from the comments of its header, so that the two cannot
# say different things: one page a function, struct or enum, in section 3. libvhm(7) is
# written by hand.
#
#   userlib/man-pages.py [DIRECTORY]      (default: Documentation/man)
#
# tests/userlib/run compares the pages in the tree with what this writes.

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
HEADER = os.path.join(HERE, 'include', 'libvhm.h')
DATE = '2026-11-22'


class Item:
    """One documented thing of the header."""

    def __init__(self, comment, code):
        lines = [re.sub(r'^\s*\* ?', '', line) for line in comment.split('\n')]
        title = re.match(r'(?:(struct|enum)\s+)?(\w+) - (.*)', lines[0].strip())
        self.kind, self.name, self.brief = title.groups()
        self.code = code
        self.arguments = []
        self.paragraphs = []
        self.parse(lines[1:])

    def parse(self, lines):
        target = None
        for line in lines:
            argument = re.match(r'@(\w+): (.*)', line)
            if argument:
                target = [argument.group(1), argument.group(2)]
                self.arguments.append(target)
            elif not line.strip():
                target = None
            elif target is not None and len(target) == 2:
                target[1] += ' ' + line.strip()
            else:
                if target is None:
                    target = ['']
                    self.paragraphs.append(target)
                start = re.match(r'(Return|Errors):', line) and target[0]
                if start or re.match(r'- ', line):
                    target = ['']
                    self.paragraphs.append(target)
                target[0] += (' ' if target[0] else '') + line.strip()


def read_items():
    text = open(HEADER).read()
    items = []
    for match in re.finditer(r'/\*\*\s?(.*?)\s*\*/\n(.*?)(?=\n\n|\n/\*)', text, re.S):
        comment = match.group(1).strip()
        if re.match(r'(?:(?:struct|enum)\s+)?\w+ - ', re.sub(r'^\* ?', '', comment)):
            items.append(Item(re.sub(r'^\* ?', '', comment), match.group(2)))
    return items


def sentence(text):
    """Begins with a capital, unless it begins with a name."""
    if re.match(r'vhm_|io_|mmio_|\\f', text):
        return text
    return text[:1].upper() + text[1:]


def escape(text):
    text = text.replace('\\', r'\e').replace('-', r'\-')
    return re.sub(r"^([.'])", r'\\&\1', text)


def rich(text, item):
    """Arguments in italics, functions, structs and constants in bold."""
    text = escape(text)
    text = re.sub(r'@(\w+(?:(?:\.|\\->|\\-\>)\w+)?)', r'\\fI\1\\fP', text)
    text = re.sub(r'\b(vhm_\w+)\(\)', lambda m: r'\fB%s\fP(%s)' % (m.group(1), '3'), text)
    text = re.sub(r'\b((?:struct|enum) vhm_\w+)', r'\\fB\1\\fP', text)
    return re.sub(r'(?<![\w\\])(VHM_[A-Z0-9_]+|E[A-Z2]{3,})\b', r'\\fB\1\\fP', text)


def prototype(code):
    """A declaration with bold words and one argument list, for SYNOPSIS."""
    code = re.sub(r'\s+', ' ', code.strip()).rstrip(';')
    if '(' in code and not code.startswith(('struct {', 'enum')):
        return '.nf\n\\fB%s;\\fP\n.fi' % escape(code.replace('static inline ', '').split(' {')[0])
    return ''


def definition(code):
    lines = code.rstrip().split('\n')
    return '.nf\n' + '\n'.join(escape(line.expandtabs(8)) for line in lines) + '\n.fi'


def is_definition(item):
    return item.kind and '{' in item.code


def synopsis(item):
    out = ['.SH SYNOPSIS', '.nf', r'\fB#include <libvhm.h>\fP', '.fi', '.PP']
    if is_definition(item):
        out.append(definition(item.code))
    elif item.kind:
        out.append(r'\fB%s\fP;' % escape('%s %s' % (item.kind, item.name)))
    else:
        out.append(prototype(item.code))
    return out


def errors(text):
    """'ENOENT the module is not loaded; ENODEV, ENXIO no VMX' as a list, where it is one."""
    out = []
    for part in text.rstrip('.').split('; '):
        match = re.match(r'((?:E[A-Z0-9]+(?:, )?)+),?:? ?(.*)', part)
        if not match:
            return None
        names = [name for name in re.split(r',\s*', match.group(1).strip()) if name]
        out.append((names, match.group(2)))
    return out


def error_section(text, item):
    out = ['.SH ERRORS']
    entries = errors(text)
    if entries is None:
        return out + [rich(sentence(text), item)]
    for names, meaning in entries:
        out += ['.TP', ', '.join(r'\fB%s\fP' % name for name in names),
                rich(sentence(meaning) + '.', item) if meaning else
                'See errno(3).']
    return out


def description(item):
    out = ['.SH DESCRIPTION', rich(sentence(item.brief) + '.', item)]
    if item.arguments:
        for name, text in item.arguments:
            out += ['.TP', r'\fI%s\fP' % escape(name),
                    rich(sentence(text).rstrip('.') + '.', item)]
    returns, failures = [], []
    for (text,) in item.paragraphs:
        before, _, after = text.partition('Return: ')
        if _:
            returns.append(after)
            text = before
        before, _, after = text.partition('Errors: ')
        if _:
            failures.append(after)
            text = before
        text = text.strip()
        if text.startswith('- '):
            out += ['.IP \\(bu 3', rich(text[2:], item)]
        elif text:
            out += ['.PP', rich(text, item)]
    return out, returns, failures


def return_section(item, returns, failures):
    if item.kind:
        return []
    out = ['.SH RETURN VALUE']
    code = re.sub(r'\s+', ' ', item.code)
    if returns:
        out += [rich(sentence(text), item) for text in returns]
    elif code.startswith('int '):
        if failures:
            out.append(r'0, or a negative error number; \fIerrno\fP is left alone.')
        else:
            out.append(r'0, or the negative error number of the system call behind it; '
                       r'\fIerrno\fP is left alone.')
    elif code.startswith('void '):
        return []
    else:
        out.append(rich(sentence(item.brief) + '.', item))
    return out


def related(item, items):
    """Neighbours in the header's chapter, and structs the declaration names."""
    position = items.index(item)
    names = [other.name for other in items[max(0, position - 2):position + 3]
             if other.name != item.name]
    for name in re.findall(r'(?:struct|enum) (vhm_\w+)', item.code):
        if any(other.name == name for other in items):
            names.append(name)
    unique = sorted(set(names) - {item.name})
    return ',\n'.join([r'\fB%s\fP(3)' % name for name in unique] + [r'\fBlibvhm\fP(7)'])


def page(name, group, items):
    """Items of one name (a function and an enum may share it) on one page."""
    out = [r'.\" SPDX-License-Identifier: LGPL-2.1-or-later OR MIT',
           r'.\" Written by userlib/man-pages.py from userlib/include/libvhm.h: change the header.',
           '.TH %s 3 %s libvhm' % (name.upper(), DATE),
           '.SH NAME', '%s \\- %s' % (name, escape(group[0].brief))]
    for item in group:
        out += synopsis(item)[0 if item is group[0] else 5:]
    returns, failures = [], []
    for item in group:
        text, item_returns, item_failures = description(item)
        out += text if item is group[0] else ['.PP'] + text[1:]
        returns += item_returns
        failures += item_failures
    out += return_section(group[0], returns, failures)
    for text in failures:
        out += error_section(text, group[0])
    out += ['.SH SEE ALSO', related(group[0], items)]
    return '\n'.join(out) + '\n'


def main():
    directory = sys.argv[1] if len(sys.argv) > 1 else \
        os.path.join(HERE, '..', 'Documentation', 'man')
    items = read_items()
    groups = {}
    for item in sorted(items, key=lambda item: bool(item.kind)):
        groups.setdefault(item.name, []).append(item)
    for name, group in groups.items():
        with open(os.path.join(directory, name + '.3'), 'w') as out:
            out.write(page(name, group, items))


main()
