/tmp/h-pv/main/--help/userlib/vhmrun/console.o: \
 /tmp/h-pv/main/userlib/vhmrun/console.c \
 /tmp/h-pv/main/userlib/vhmrun/console.h \
 /tmp/h-pv/main/userlib/vhmrun/../devices/uart.h \
 /tmp/h-pv/main/userlib/vhmrun/../devices/bus.h \
 /tmp/h-pv/main/userlib/vhmrun/../devices/irq.h \
 /tmp/h-pv/main/userlib/vhmrun/message.h
/tmp/h-pv/main/userlib/vhmrun/console.h:
/tmp/h-pv/main/userlib/vhmrun/../devices/uart.h:
/tmp/h-pv/main/userlib/vhmrun/../devices/bus.h:
/tmp/h-pv/main/userlib/vhmrun/../devices/irq.h:
/tmp/h-pv/main/userlib/vhmrun/message.h:
