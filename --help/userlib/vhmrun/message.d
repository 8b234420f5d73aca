/tmp/lead/main/--help/userlib/vhmrun/message.o: \
 /tmp/lead/main/userlib/vhmrun/message.c \
 /tmp/lead/main/userlib/vhmrun/message.h \
 /tmp/lead/main/userlib/vhmrun/terminal.h
/tmp/lead/main/userlib/vhmrun/message.h:
/tmp/lead/main/userlib/vhmrun/terminal.h:
